/* Dense layers with a weight scale per output channel, on CMSIS-NN.
 *
 * arm_fully_connected_s8 takes one scale for the whole layer, so it is called once for each channel: a channel is a
 * layer of one output. Multiplier and shift are that channel's, and every sum is the one that a kernel for the whole
 * layer would build. pytest_tinyml/engines/aotunit.py puts this text in front of the generated network.
 */
#ifndef TML_DENSE_CMSIS_NN_H
#define TML_DENSE_CMSIS_NN_H

#include <stddef.h>
#include <stdint.h>

#include "arm_nnfunctions.h"

/* Takes what bakenn's portable kernel takes: weights int8 [output_count, input_count], row-major; bias, multiplier
 * (Q0.31) and shift (positive: to the left) one per output. */
static void tml_dense_s8(const int8_t *input, const int8_t *weight, const int32_t *bias, const int32_t *multiplier,
                         const int32_t *shift, int8_t *output, size_t input_count, size_t output_count,
                         int32_t input_zero_point, int32_t output_zero_point, int32_t activation_min,
                         int32_t activation_max) {
    const cmsis_nn_context no_buffer = {.buf = NULL, .size = 0};
    const cmsis_nn_fc_params params = {
        .input_offset = -input_zero_point,
        .filter_offset = 0,
        .output_offset = output_zero_point,
        .activation = {.min = activation_min, .max = activation_max},
    };
    const cmsis_nn_dims inputs = {.n = 1, .h = 1, .w = 1, .c = (int32_t)input_count};
    const cmsis_nn_dims weights = {.n = (int32_t)input_count, .h = 1, .w = 1, .c = 1};
    const cmsis_nn_dims one = {.n = 1, .h = 1, .w = 1, .c = 1};
    for (size_t i = 0; i < output_count; i++) {
        const cmsis_nn_per_tensor_quant_params scale = {.multiplier = multiplier[i], .shift = shift[i]};
        (void)arm_fully_connected_s8(&no_buffer, &params, &scale, &inputs, input, &weights, weight + i * input_count,
                                     &one, bias + i, &one, output + i);
    }
}

#endif
