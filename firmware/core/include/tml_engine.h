/* What executes a model on the board: one vtable, implemented by each folder under engines/. */
#ifndef TML_ENGINE_H
#define TML_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "tml_model.h"

typedef struct tml_engine {
    const char *name; /* as reported in IDENTITY: "aot", "tflm", ... */
    /* Prepares the model; called before the first inference and on RESET. Returns TML_OK or a negative error. */
    int (*init)(struct tml_engine *engine);
    /* The engine's own input buffer, written before and read back (canary) just before invoke. Stable after init. */
    void *(*input)(struct tml_engine *engine);
    /* Runs the model once on input(). */
    int (*invoke)(struct tml_engine *engine);
    /* The engine's own output buffer, valid after invoke until the next one. */
    const void *(*output)(struct tml_engine *engine);
    /* Bytes of working memory used by this model, and available to it. */
    uint32_t (*arena_used)(const struct tml_engine *engine);
    uint32_t (*arena_capacity)(const struct tml_engine *engine);
    /* Optional (may be NULL): executes another model from the next init on. `file` is a whole model file, aligned to 16
     * bytes, and `model` says what the session takes it for; init must refuse a file with other tensors. Both stay
     * where they are. A file of NULL is the one that the image was linked with. TML_OK or an error. */
    int (*load)(struct tml_engine *engine, const tml_model *model, const void *file, size_t size);
    /* Optional (may be NULL): why init, load or invoke failed last, for a person; "" if none has. */
    const char *(*why)(const struct tml_engine *engine);
} tml_engine;

/* The engine that this image was linked with. */
extern tml_engine tml_the_engine;

#endif
