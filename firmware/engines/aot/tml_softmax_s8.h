/* Softmax of int8 tensors, equal byte for byte to TensorFlow Lite Micro's reference kernel. */
#ifndef TML_SOFTMAX_S8_H
#define TML_SOFTMAX_S8_H

#include <stdint.h>

/* What depends on the model alone; pytest_tinyml/engines/softmax.py computes it. */
typedef struct {
    int32_t multiplier; /* Q0.31, [2^30, 2^31 - 1]: significand of beta * input scale * 2^26 */
    int32_t left_shift; /* its exponent, 0 to 31 */
    int32_t diff_min;   /* at most 0; an element further than this below its row's maximum counts as zero */
} tml_softmax_s8_params;

/* input, output: int8 [rows, depth], row-major; they may be the same buffer. depth is 1 to 4095.
 * Output scale 1/256, zero point -128: probability = (q + 128) / 256. */
void tml_softmax_s8(const int8_t *input, uint32_t rows, uint32_t depth, const tml_softmax_s8_params *params,
                    int8_t *output);

#endif
