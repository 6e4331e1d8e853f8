/* Rounding of numbers whose scales are powers of two; private to the kernels of tml_pot.h. */
#ifndef TML_POT_ROUND_H
#define TML_POT_ROUND_H

#include <stdint.h>

/* value / 2^shift to the nearest, halves up or to even. An arithmetic shift of a negative number is not C's, but is
 * what every compiler here does; the division by a power of two that it stands for would be towards zero. A shift of
 * 63 and more leaves nothing of what the kernels have. */
static inline int64_t tml_pot_scaled(int64_t value, int32_t shift, int32_t half_even) {
    if (shift <= 0) {
        return (int64_t)((uint64_t)value << -shift);
    }
    if (shift > 62) {
        return 0;
    }
    const int64_t floor = value >> shift;
    const int64_t rest = value - (int64_t)((uint64_t)floor << shift);
    const int64_t half = INT64_C(1) << (shift - 1);
    return floor + (rest > half || (rest == half && (!half_even || (floor & 1))));
}

static inline int32_t tml_pot_clamped(int64_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : (int32_t)value;
}

#endif
