/* Kernels for networks of integers whose scales are powers of two, as ESP-DL executes them (real = q * 2^exponent).
 *
 * Tensors are [H, W, C] row-major, one sample. Every rounding is ESP-DL's of the chip that the network was made for
 * (esp-dl/dl/tool/src/dl_tool.cpp, shift_and_round): to nearest, halves up, or to even on an ESP32-P4. Results are
 * clamped to low..127 or low..32767; low is 0 behind a ReLU. An accumulator that could overflow is refused by the
 * translator (pytest_tinyml/engines/layers/fromespdl.py). */
#ifndef TML_POT_H
#define TML_POT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t shift;     /* output exponent - input exponent - weights' exponent; -31..62 */
    int32_t low;       /* smallest output */
    int32_t half_even; /* how halves are rounded: 0 up, 1 to even */
} tml_pot_conv;

typedef tml_pot_conv tml_pot_conv_s8_params;
typedef tml_pot_conv tml_pot_conv_s16_params;
typedef tml_pot_conv tml_pot_depthwise_s8_params;
typedef tml_pot_conv tml_pot_depthwise_s16_params;

/* Convolution; a fully connected layer is one of 1 x 1. weights: [out_c, kernel_h, kernel_w, in_c]; bias: [out_c] at
 * the accumulator's exponent, or null; shifts: [out_c] in place of params->shift, or null. */
void tml_pot_conv_s8(const tml_pot_conv_s8_params *params, const int8_t *input, const int8_t *weights,
                     const int32_t *bias, const int32_t *shifts, int8_t *output);
void tml_pot_conv_s16(const tml_pot_conv_s16_params *params, const int16_t *input, const int16_t *weights,
                      const int64_t *bias, const int32_t *shifts, int16_t *output);

/* One filter per channel. weights: [kernel_h, kernel_w, in_c]; in_c equals out_c. */
void tml_pot_depthwise_s8(const tml_pot_depthwise_s8_params *params, const int8_t *input, const int8_t *weights,
                          const int32_t *bias, const int32_t *shifts, int8_t *output);
void tml_pot_depthwise_s16(const tml_pot_depthwise_s16_params *params, const int16_t *input, const int16_t *weights,
                           const int64_t *bias, const int32_t *shifts, int16_t *output);

typedef struct {
    int32_t in_h, in_w, channels, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int32_t shift;       /* average only: output exponent - input exponent; -16..16 */
    int32_t include_pad; /* average only: divide by the whole window, 1, or by what of it is inside, 0 */
    int32_t half_even;   /* average only */
} tml_pot_pool;

typedef tml_pot_pool tml_pot_max_pool_s8_params;
typedef tml_pot_pool tml_pot_max_pool_s16_params;
typedef tml_pot_pool tml_pot_avg_pool_s8_params;
typedef tml_pot_pool tml_pot_avg_pool_s16_params;

/* Largest of each window; what lies outside does not count. Exponents of input and output are equal. */
void tml_pot_max_pool_s8(const tml_pot_max_pool_s8_params *params, const int8_t *input, int8_t *output);
void tml_pot_max_pool_s16(const tml_pot_max_pool_s16_params *params, const int16_t *input, int16_t *output);

/* Mean of each window, rounded once. */
void tml_pot_avg_pool_s8(const tml_pot_avg_pool_s8_params *params, const int8_t *input, int8_t *output);
void tml_pot_avg_pool_s16(const tml_pot_avg_pool_s16_params *params, const int16_t *input, int16_t *output);

typedef struct {
    int32_t count;
    int32_t step_shift; /* 16 bits only: the table has an entry for every 2^step_shift inputs; 0..16 */
    int32_t half_even;  /* 16 bits only: how an input between two entries is rounded */
} tml_pot_lut;

typedef tml_pot_lut tml_pot_lut_s8_params;
typedef tml_pot_lut tml_pot_lut_s16_params;

/* A function by its table: 256 entries from input -128 on, or 65536 / step + 1 from -32768 on, of which the nearest is
 * taken (esp-dl/dl/base/dl_base_lut.cpp). */
void tml_pot_lut_s8(const tml_pot_lut_s8_params *params, const int8_t *input, const int8_t *table, int8_t *output);
void tml_pot_lut_s16(const tml_pot_lut_s16_params *params, const int16_t *input, const int16_t *table, int16_t *output);

typedef struct {
    int32_t count;
    int32_t shift; /* output exponent - input exponent; -31..31 */
    int32_t low;
    int32_t half_even;
} tml_pot_rescale;

typedef tml_pot_rescale tml_pot_rescale_s8_params;
typedef tml_pot_rescale tml_pot_rescale_s16_params;

/* Another exponent, a ReLU, or both. */
void tml_pot_rescale_s8(const tml_pot_rescale_s8_params *params, const int8_t *input, int8_t *output);
void tml_pot_rescale_s16(const tml_pot_rescale_s16_params *params, const int16_t *input, int16_t *output);

typedef struct {
    int32_t dims[4];    /* of the output */
    int32_t strides[4]; /* of the input, in elements, in the order of the output's dimensions */
} tml_pot_transpose;

typedef tml_pot_transpose tml_pot_transpose_s8_params;
typedef tml_pot_transpose tml_pot_transpose_s16_params;

void tml_pot_transpose_s8(const tml_pot_transpose_s8_params *params, const int8_t *input, int8_t *output);
void tml_pot_transpose_s16(const tml_pot_transpose_s16_params *params, const int16_t *input, int16_t *output);

typedef struct {
    int32_t rows, depth;
    int32_t headroom; /* bits that the sum of depth ones takes beside the first; 0..16 */
} tml_pot_softmax;

typedef tml_pot_softmax tml_pot_softmax_s8_params;
typedef tml_pot_softmax tml_pot_softmax_s16_params;

/* Softmax of each row as float32, correctly rounded: see tml_pot_softmax.c. mantissas and exponents describe
 * exp(-2^k * 2^input exponent) for every bit k of a difference of two inputs, 8 or 16 of them: the value is
 * mantissa * 2^-62 * 2^-exponent, with a mantissa from 2^62 up to but not 2^63. */
void tml_pot_softmax_s8(const tml_pot_softmax_s8_params *params, const int8_t *input, const int64_t *mantissas,
                        const int32_t *exponents, float *output);
void tml_pot_softmax_s16(const tml_pot_softmax_s16_params *params, const int16_t *input, const int64_t *mantissas,
                         const int32_t *exponents, float *output);

#endif
