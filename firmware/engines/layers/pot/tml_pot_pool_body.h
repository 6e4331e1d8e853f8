/* Body of the poolings; included by tml_pot_pool.c for each width with FEATURE, LOW, HIGH and the names. */

void MAX_POOL(const tml_pot_pool *p, const FEATURE *input, FEATURE *output) {
    for (int32_t y = 0; y < p->out_h; y++) {
        const window rows = inside(y, p->stride_h, p->pad_top, p->kernel_h, p->in_h);
        for (int32_t x = 0; x < p->out_w; x++) {
            const window columns = inside(x, p->stride_w, p->pad_left, p->kernel_w, p->in_w);
            for (int32_t c = 0; c < p->channels; c++) {
                FEATURE largest = LOW;
                for (int32_t iy = rows.begin; iy < rows.end; iy++) {
                    for (int32_t ix = columns.begin; ix < columns.end; ix++) {
                        const FEATURE value = input[(iy * p->in_w + ix) * p->channels + c];
                        largest = value > largest ? value : largest;
                    }
                }
                *output++ = largest;
            }
        }
    }
}

void AVG_POOL(const tml_pot_pool *p, const FEATURE *input, FEATURE *output) {
    for (int32_t y = 0; y < p->out_h; y++) {
        const window rows = inside(y, p->stride_h, p->pad_top, p->kernel_h, p->in_h);
        for (int32_t x = 0; x < p->out_w; x++) {
            const window columns = inside(x, p->stride_w, p->pad_left, p->kernel_w, p->in_w);
            const int32_t whole = p->kernel_h * p->kernel_w;
            const int32_t part = (rows.end - rows.begin) * (columns.end - columns.begin);
            for (int32_t c = 0; c < p->channels; c++) {
                int64_t sum = 0;
                for (int32_t iy = rows.begin; iy < rows.end; iy++) {
                    for (int32_t ix = columns.begin; ix < columns.end; ix++) {
                        sum += input[(iy * p->in_w + ix) * p->channels + c];
                    }
                }
                *output++ = (FEATURE)tml_pot_clamped(mean(sum, p->include_pad ? whole : part, p), LOW, HIGH);
            }
        }
    }
}
