/* Float kernels that add in the order of TensorFlow Lite Micro's reference kernels.
 *
 * Floating-point sums depend on their order. For each output element it is here that of
 * tensorflow/lite/kernels/internal/ reference (conv.h, depthwiseconv_float.h, fully_connected.h, pooling.h, softmax.h,
 * logistic.h), so that everything but the exponential is the same to the last bit where the compiler contracts no
 * multiplication and addition into one
 * (-ffp-contract=off). Output channels are innermost, and their weights side by side: they do not depend on each other,
 * so a compiler may compute several at once without changing any sum.
 *
 * Tensors are float, batch 1, [H, W, C] row-major. */
#ifndef TML_F32_H
#define TML_F32_H

#include <stddef.h>
#include <stdint.h>

/* Convolution and pooling: one window per output pixel; what lies outside of the input counts as absent. */
typedef struct {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t multiplier; /* output channels per input channel, of a depthwise convolution */
    float low, high;    /* of the fused activation */
} tml_window_f32;

typedef tml_window_f32 tml_conv_f32_params;
typedef tml_window_f32 tml_depthwise_f32_params;
typedef tml_window_f32 tml_max_pool_f32_params;
typedef tml_window_f32 tml_average_pool_f32_params;

/* weights: [kernel_h, kernel_w, in_c, out_c]; bias: [out_c] or NULL. */
void tml_conv_f32(const tml_conv_f32_params *params, const float *input, const float *weights, const float *bias,
                  float *output);
/* weights: [kernel_h, kernel_w, out_c] with out_c = in_c * multiplier; bias: [out_c] or NULL. */
void tml_depthwise_f32(const tml_depthwise_f32_params *params, const float *input, const float *weights,
                       const float *bias, float *output);
void tml_max_pool_f32(const tml_max_pool_f32_params *params, const float *input, float *output);
void tml_average_pool_f32(const tml_average_pool_f32_params *params, const float *input, float *output);

typedef struct {
    int32_t rows, in, out;
    float low, high;
} tml_dense_f32_params;

/* input: [rows, in]; weights: [in, out]; bias: [out] or NULL. */
void tml_dense_f32(const tml_dense_f32_params *params, const float *input, const float *weights, const float *bias,
                   float *output);

typedef struct {
    int32_t rows, depth;
    float beta;
} tml_softmax_f32_params;

/* In place, too. */
void tml_softmax_f32(const tml_softmax_f32_params *params, const float *input, float *output);

typedef struct {
    int32_t count;
    float low, high;
} tml_elements_f32_params;

typedef tml_elements_f32_params tml_clamp_f32_params;
typedef tml_elements_f32_params tml_logistic_f32_params;
typedef tml_elements_f32_params tml_add_f32_params;

/* RELU, RELU6 and their like; in place, too. */
void tml_clamp_f32(const tml_clamp_f32_params *params, const float *input, float *output);
/* In place, too. */
void tml_logistic_f32(const tml_logistic_f32_params *params, const float *input, float *output);
/* Of two tensors of one shape; in place of the first, too. */
void tml_add_f32(const tml_add_f32_params *params, const float *left, const float *right, float *output);

/* e to the power of x, the nearest float but for about one x in a million: the same bits on every processor. 0 below
 * the smallest normal float, infinity above the largest. */
float tml_exp_f32(float x);

#endif
