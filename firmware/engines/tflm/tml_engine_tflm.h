/* Engine "tflm": TensorFlow Lite Micro's interpreter.
 *
 * Beside these sources an image links what `tinyml convert --c-array` writes for its model: the file as an array
 * (model.cc), the operators that it needs (tml_ops.cc), its description (tml_model.c) and the size of its arena
 * (tflm_engine_config.h). Other models can be uploaded, if they have no other operators and the arena is large enough.
 * What TensorFlow Lite Micro has to say goes to the console; the engine's `why` names the rest. */
#ifndef TML_ENGINE_TFLM_H
#define TML_ENGINE_TFLM_H

#include <stddef.h>

#include "tflm_engine_config.h"
#include "tml_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Alignment of the arena and of model files in bytes; TensorFlow Lite Micro wants it of every buffer of a model. */
#define TML_TFLM_ALIGNMENT 16

/* Gives the engine its working memory, aligned, for good; takes effect with the next init. Without a call an image that
 * was built with TML_TFLM_STATIC_ARENA=1 has an array of TML_TFLM_ARENA_BYTES, and any other has nothing. */
void tml_tflm_use_arena(void *arena, size_t size);

#ifdef __cplusplus
}
#endif

#endif
