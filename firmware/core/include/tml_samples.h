/* Samples that are compiled into an image, with their labels: what `tinyml export-samples --format c` writes. */
#ifndef TML_SAMPLES_H
#define TML_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>

#define TML_NO_LABEL INT32_C(-1)

typedef struct {
    uint32_t count;
    uint32_t bytes;        /* of one sample */
    bool tensors;          /* input tensors as the engine reads them; otherwise pixels, one byte per element */
    const uint8_t *data;   /* [count][bytes] */
    const int32_t *labels; /* [count], or NULL if nobody knows any */
} tml_samples;

/* Defined in images that were given samples: with TML_HAS_SAMPLES=1. */
extern const tml_samples tml_the_samples;

#endif
