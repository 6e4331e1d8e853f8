/* Tables, other exponents, and another order of dimensions. */
#include "tml_pot.h"
#include "tml_pot_round.h"

void tml_pot_lut_s8(const tml_pot_lut_s8_params *params, const int8_t *input, const int8_t *table, int8_t *output) {
    for (int32_t i = 0; i < params->count; i++) {
        output[i] = table[input[i] - INT8_MIN];
    }
}

void tml_pot_lut_s16(const tml_pot_lut_s16_params *params, const int16_t *input, const int16_t *table,
                     int16_t *output) {
    for (int32_t i = 0; i < params->count; i++) {
        output[i] = table[tml_pot_scaled((int64_t)input[i] - INT16_MIN, params->step_shift, params->half_even)];
    }
}

#define FEATURE int8_t
#define HIGH INT8_MAX
#define RESCALE tml_pot_rescale_s8
#define TRANSPOSE tml_pot_transpose_s8
#include "tml_pot_elementwise_body.h"
#undef FEATURE
#undef HIGH
#undef RESCALE
#undef TRANSPOSE

#define FEATURE int16_t
#define HIGH INT16_MAX
#define RESCALE tml_pot_rescale_s16
#define TRANSPOSE tml_pot_transpose_s16
#include "tml_pot_elementwise_body.h"
