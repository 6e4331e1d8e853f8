/* The arena of TensorFlow Lite Micro in applications of ESP-IDF. */
#ifndef TFLM_ARENA_H
#define TFLM_ARENA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Gives the engine the arena that the linked model needs, or TML_ARENA_BYTES if that is more; in internal RAM if
 * `reserve` bytes of that stay free, see arena_rule.h. */
void app_tflm_arena(size_t reserve);

#ifdef __cplusplus
}
#endif

#endif
