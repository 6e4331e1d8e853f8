/* Body of what works on one element at a time; included by tml_pot_elementwise.c for each width. */

void RESCALE(const tml_pot_rescale *p, const FEATURE *input, FEATURE *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (FEATURE)tml_pot_clamped(tml_pot_scaled(input[i], p->shift, p->half_even), p->low, HIGH);
    }
}

void TRANSPOSE(const tml_pot_transpose *p, const FEATURE *input, FEATURE *output) {
    for (int32_t i = 0; i < p->dims[0]; i++) {
        for (int32_t j = 0; j < p->dims[1]; j++) {
            for (int32_t k = 0; k < p->dims[2]; k++) {
                const FEATURE *from = input + i * p->strides[0] + j * p->strides[1] + k * p->strides[2];
                for (int32_t l = 0; l < p->dims[3]; l++) {
                    *output++ = from[l * p->strides[3]];
                }
            }
        }
    }
}
