/* Body of the convolutions; included by tml_pot_conv.c for each width with FEATURE, SUM, HIGH and the names. */

/* Sum of products of two contiguous runs. */
static SUM DOT(const FEATURE *a, const FEATURE *b, int32_t count) {
    SUM sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += (int32_t)a[i] * b[i];
    }
    return sum;
}

void CONV(const tml_pot_conv *p, const FEATURE *input, const FEATURE *weights, const SUM *bias, const int32_t *shifts,
          FEATURE *output) {
    const int32_t row = p->in_w * p->in_c;
    const int32_t filter_row = p->kernel_w * p->in_c;
    for (int32_t y = 0; y < p->out_h; y++) {
        const tml_pot_range rows = tml_pot_inside(y, p->stride_h, p->pad_top, p->dilation_h, p->kernel_h, p->in_h);
        for (int32_t x = 0; x < p->out_w; x++) {
            const tml_pot_range columns =
                tml_pot_inside(x, p->stride_w, p->pad_left, p->dilation_w, p->kernel_w, p->in_w);
            /* Without dilation, a row of the window is one run of memory. */
            const int32_t run = p->dilation_w == 1 ? (columns.end - columns.begin) * p->in_c : p->in_c;
            const int32_t runs = p->dilation_w == 1 ? (columns.end > columns.begin) : columns.end - columns.begin;
            for (int32_t n = 0; n < p->out_c; n++) {
                SUM sum = bias ? bias[n] : 0;
                for (int32_t ky = rows.begin; ky < rows.end; ky++) {
                    const FEATURE *from = input + (rows.origin + ky * p->dilation_h) * row +
                                          (columns.origin + columns.begin * p->dilation_w) * p->in_c;
                    const FEATURE *filter = weights + (n * p->kernel_h + ky) * filter_row + columns.begin * p->in_c;
                    for (int32_t k = 0; k < runs; k++) {
                        sum += DOT(from, filter, run);
                        from += p->dilation_w * p->in_c;
                        filter += p->in_c;
                    }
                }
                const int32_t shift = shifts ? shifts[n] : p->shift;
                *output++ = (FEATURE)tml_pot_clamped(tml_pot_scaled(sum, shift, p->half_even), p->low, HIGH);
            }
        }
    }
}

void DEPTHWISE(const tml_pot_conv *p, const FEATURE *input, const FEATURE *weights, const SUM *bias,
               const int32_t *shifts, FEATURE *output) {
    for (int32_t y = 0; y < p->out_h; y++) {
        const tml_pot_range rows = tml_pot_inside(y, p->stride_h, p->pad_top, p->dilation_h, p->kernel_h, p->in_h);
        for (int32_t x = 0; x < p->out_w; x++) {
            const tml_pot_range columns =
                tml_pot_inside(x, p->stride_w, p->pad_left, p->dilation_w, p->kernel_w, p->in_w);
            for (int32_t c = 0; c < p->out_c; c++) {
                SUM sum = bias ? bias[c] : 0;
                for (int32_t ky = rows.begin; ky < rows.end; ky++) {
                    const FEATURE *line = input + (rows.origin + ky * p->dilation_h) * p->in_w * p->in_c + c;
                    for (int32_t kx = columns.begin; kx < columns.end; kx++) {
                        sum += (int32_t)line[(columns.origin + kx * p->dilation_w) * p->in_c] *
                               weights[(ky * p->kernel_w + kx) * p->in_c + c];
                    }
                }
                const int32_t shift = shifts ? shifts[c] : p->shift;
                *output++ = (FEATURE)tml_pot_clamped(tml_pot_scaled(sum, shift, p->half_even), p->low, HIGH);
            }
        }
    }
}
