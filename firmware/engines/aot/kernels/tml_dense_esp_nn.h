/* Dense layers on ESP-NN.
 *
 * ESP-NN optimises no dense layer for the ESP32, but convolutions with a window of one pixel: over an image of one
 * pixel with input_count channels that is a dense layer, scale per output channel included.
 * pytest_tinyml/engines/aotunit.py puts this text in front of the generated network.
 */
#ifndef TML_DENSE_ESP_NN_H
#define TML_DENSE_ESP_NN_H

#include <stddef.h>
#include <stdint.h>

#include "esp_nn.h"

/* Takes what bakenn's portable kernel takes: weights int8 [output_count, input_count], row-major; bias, multiplier
 * (Q0.31) and shift (positive: to the left) one per output. The counts are at most 65,535. */
static void tml_dense_s8(const int8_t *input, const int8_t *weight, const int32_t *bias, const int32_t *multiplier,
                         const int32_t *shift, int8_t *output, size_t input_count, size_t output_count,
                         int32_t input_zero_point, int32_t output_zero_point, int32_t activation_min,
                         int32_t activation_max) {
    const data_dims_t inputs = {.width = 1, .height = 1, .channels = (int32_t)input_count, .extra = 1};
    const data_dims_t weights = {
        .width = 1, .height = 1, .channels = (int32_t)input_count, .extra = (int32_t)output_count};
    const data_dims_t outputs = {.width = 1, .height = 1, .channels = (int32_t)output_count, .extra = 1};
    const conv_params_t params = {
        .in_offset = -input_zero_point,
        .out_offset = output_zero_point,
        .stride = {.width = 1, .height = 1},
        .padding = {.width = 0, .height = 0},
        .dilation = {.width = 1, .height = 1},
        .activation = {.min = activation_min, .max = activation_max},
    };
    /* Not const in ESP-NN's type; the kernel only reads them. */
    const quant_data_t scales = {.shift = (int32_t *)(uintptr_t)shift, .mult = (int32_t *)(uintptr_t)multiplier};
    esp_nn_conv_s8(&inputs, input, &weights, weight, bias, &outputs, output, &params, &scales);
}

#endif
