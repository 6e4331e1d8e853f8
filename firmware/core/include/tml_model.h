/* What the core knows of a model: the interface between generated code and the core.
 *
 * `tinyml convert` writes one C file per model that defines `tml_the_model`; the session reads nothing else of it. */
#ifndef TML_MODEL_H
#define TML_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define TML_MAX_RANK 6

/* Codes of PROTOCOL.md section 3, IDENTITY. */
typedef enum {
    TML_INT8 = 1,
    TML_UINT8 = 2,
    TML_INT16 = 3,
    TML_FLOAT32 = 4,
} tml_dtype;

typedef struct {
    tml_dtype dtype;
    uint8_t rank;
    uint32_t dims[TML_MAX_RANK]; /* batch first, and 1 */
    float scale;                 /* real = scale * (q - zero_point); 0 for float32 */
    int32_t zero_point;
} tml_tensor;

typedef enum {
    TML_PRE_NONE = 0,
    TML_PRE_LUT = 1,
    TML_PRE_L2AXIS1 = 2,
} tml_preprocess_kind;

/* PROTOCOL.md section 5. */
typedef struct {
    tml_preprocess_kind kind;
    const int8_t *lut;          /* [256], LUT with an 8-bit input tensor */
    const uint64_t *thresholds; /* [threshold_count], ascending, T[1].. of L2AXIS1 */
    uint16_t threshold_count;   /* at most 255 */
    uint32_t row;               /* elements per image row, W * C: the stride of a column in L2AXIS1 */
} tml_preprocess;

typedef struct {
    const char *name;   /* UTF-8, at most 63 bytes */
    uint8_t sha256[32]; /* of the model file */
    tml_tensor input;
    tml_tensor output;
    tml_preprocess preprocess;
} tml_model;

extern const tml_model tml_the_model;

#endif
