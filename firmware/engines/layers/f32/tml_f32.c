#include "tml_f32.h"

/* In the order of C++'s std::min(std::max(x, low), high). */
static inline float clamped(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return high < raised ? high : raised;
}

static void finish(float *restrict values, const float *restrict bias, int32_t count, float low, float high) {
    for (int32_t i = 0; i < count; ++i) {
        const float sum = bias == NULL ? values[i] : values[i] + bias[i];
        values[i] = clamped(sum, low, high);
    }
}

static void add_scaled(float *restrict sums, const float *restrict weights, float x, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
        sums[i] += x * weights[i];
    }
}

static void zero(float *values, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
        values[i] = 0.0F;
    }
}

void tml_conv_f32(const tml_conv_f32_params *p, const float *input, const float *weights, const float *bias,
                  float *output) {
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            zero(output, p->out_c);
            for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
                const int32_t y = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
                if (y < 0 || y >= p->in_h) {
                    continue;
                }
                for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
                    const int32_t x = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
                    if (x < 0 || x >= p->in_w) {
                        continue;
                    }
                    const float *pixel = input + (y * p->in_w + x) * p->in_c;
                    const float *tap = weights + (ky * p->kernel_w + kx) * p->in_c * p->out_c;
                    for (int32_t c = 0; c < p->in_c; ++c) {
                        add_scaled(output, tap + c * p->out_c, pixel[c], p->out_c);
                    }
                }
            }
            finish(output, bias, p->out_c, p->low, p->high);
            output += p->out_c;
        }
    }
}

void tml_depthwise_f32(const tml_depthwise_f32_params *p, const float *input, const float *weights, const float *bias,
                       float *output) {
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            zero(output, p->out_c);
            for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
                const int32_t y = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
                if (y < 0 || y >= p->in_h) {
                    continue;
                }
                for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
                    const int32_t x = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
                    if (x < 0 || x >= p->in_w) {
                        continue;
                    }
                    const float *pixel = input + (y * p->in_w + x) * p->in_c;
                    const float *tap = weights + (ky * p->kernel_w + kx) * p->out_c;
                    for (int32_t c = 0; c < p->in_c; ++c) {
                        add_scaled(output + c * p->multiplier, tap + c * p->multiplier, pixel[c], p->multiplier);
                    }
                }
            }
            finish(output, bias, p->out_c, p->low, p->high);
            output += p->out_c;
        }
    }
}

/* The part of a window that lies inside of the input, in one dimension. */
static inline void window(int32_t start, int32_t kernel, int32_t size, int32_t *first, int32_t *end) {
    *first = start < 0 ? 0 : start;
    *end = start + kernel > size ? size : start + kernel;
}

void tml_max_pool_f32(const tml_max_pool_f32_params *p, const float *input, float *output) {
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        int32_t y_first, y_end;
        window(oy * p->stride_h - p->pad_top, p->kernel_h, p->in_h, &y_first, &y_end);
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            int32_t x_first, x_end;
            window(ox * p->stride_w - p->pad_left, p->kernel_w, p->in_w, &x_first, &x_end);
            for (int32_t c = 0; c < p->in_c; ++c) {
                float most = -0x1.fffffep127F; /* the lowest float */
                for (int32_t y = y_first; y < y_end; ++y) {
                    for (int32_t x = x_first; x < x_end; ++x) {
                        const float value = input[(y * p->in_w + x) * p->in_c + c];
                        most = most < value ? value : most;
                    }
                }
                *output++ = clamped(most, p->low, p->high);
            }
        }
    }
}

void tml_average_pool_f32(const tml_average_pool_f32_params *p, const float *input, float *output) {
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        int32_t y_first, y_end;
        window(oy * p->stride_h - p->pad_top, p->kernel_h, p->in_h, &y_first, &y_end);
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            int32_t x_first, x_end;
            window(ox * p->stride_w - p->pad_left, p->kernel_w, p->in_w, &x_first, &x_end);
            const float count = (float)((y_end - y_first) * (x_end - x_first));
            for (int32_t c = 0; c < p->in_c; ++c) {
                float sum = 0.0F;
                for (int32_t y = y_first; y < y_end; ++y) {
                    for (int32_t x = x_first; x < x_end; ++x) {
                        sum += input[(y * p->in_w + x) * p->in_c + c];
                    }
                }
                *output++ = clamped(sum / count, p->low, p->high);
            }
        }
    }
}

void tml_dense_f32(const tml_dense_f32_params *p, const float *input, const float *weights, const float *bias,
                   float *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        zero(output, p->out);
        for (int32_t i = 0; i < p->in; ++i) {
            add_scaled(output, weights + i * p->out, input[i], p->out);
        }
        finish(output, bias, p->out, p->low, p->high);
        input += p->in;
        output += p->out;
    }
}

void tml_softmax_f32(const tml_softmax_f32_params *p, const float *input, float *output) {
    for (int32_t row = 0; row < p->rows; ++row) {
        float most = input[0];
        for (int32_t i = 1; i < p->depth; ++i) {
            most = most < input[i] ? input[i] : most;
        }
        float sum = 0.0F;
        for (int32_t i = 0; i < p->depth; ++i) {
            output[i] = tml_exp_f32((input[i] - most) * p->beta);
            sum += output[i];
        }
        for (int32_t i = 0; i < p->depth; ++i) {
            output[i] = output[i] / sum;
        }
        input += p->depth;
        output += p->depth;
    }
}

void tml_clamp_f32(const tml_clamp_f32_params *p, const float *input, float *output) {
    for (int32_t i = 0; i < p->count; ++i) {
        output[i] = clamped(input[i], p->low, p->high);
    }
}

void tml_logistic_f32(const tml_logistic_f32_params *p, const float *input, float *output) {
    /* logistic.h: above, 1 / (1 + exp(-x)) is 1 anyhow; below, it is exp(x) in the limits of a float. */
    const float upper = 16.619047164916992188F;
    const float lower = -9.0F;
    for (int32_t i = 0; i < p->count; ++i) {
        const float x = input[i];
        if (x > upper) {
            output[i] = 1.0F;
        } else if (x < lower) {
            output[i] = tml_exp_f32(x);
        } else {
            output[i] = 1.0F / (1.0F + tml_exp_f32(-x));
        }
    }
}

void tml_add_f32(const tml_add_f32_params *p, const float *left, const float *right, float *output) {
    for (int32_t i = 0; i < p->count; ++i) {
        output[i] = clamped(left[i] + right[i], p->low, p->high);
    }
}

float tml_exp_f32(float x) {
    if (x != x) {
        return x;
    }
    if (x > 88.72283F) { /* ln of the largest float */
        return __builtin_inff();
    }
    if (x < -87.33654F) { /* ln of the smallest normal one */
        return 0.0F;
    }
    /* e^x = 2^k e^r with |r| <= ln(2) / 2, in double, whose error is a billionth of what a float shows. */
    const double scaled = (double)x * 0x1.71547652b82fep+0; /* 1 / ln(2) */
    const int32_t k = (int32_t)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
    const double r = ((double)x - (double)k * 0x1.62e42fee00000p-1) - (double)k * 0x1.a39ef35793c76p-33;
    /* Taylor's series; the first term that is left out is below 2e-14. */
    double sum = 1.0;
    for (int32_t n = 11; n > 0; --n) {
        sum = 1.0 + sum * r / (double)n;
    }
    union {
        uint64_t bits;
        double value;
    } power = {.bits = (uint64_t)(int64_t)(1023 + k) << 52};
    return (float)(sum * power.value);
}
