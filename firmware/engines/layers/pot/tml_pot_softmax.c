/* Softmax as float32, without a floating-point operation: some cores here have none, and expf of different C libraries
 * differs in the last bit.
 *
 * ESP-DL computes expf, a sum and a quotient in float32, which is off by a few units in the last place
 * (esp-dl/dl/module/include/dl_module_softmax.hpp). Here every exponential has 62 bits and the quotient is rounded to
 * float32 once, so that the result is the float32 nearest to the true value, as a computation in float64 gives it. */
#include "tml_pot.h"

#include <string.h>

#define FRACTION_BITS 62
#define QUOTIENT_BITS 40

/* mantissa * 2^-62 * 2^-exponent, with a mantissa from 2^62 up to but not 2^63. */
typedef struct {
    uint64_t mantissa;
    int64_t exponent;
} number;

/* a * b / 2^62, rounded down, of two mantissas; below 2^64. */
static uint64_t product(uint64_t a, uint64_t b) {
    const uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    const uint64_t low = a0 * b0;
    const uint64_t middle = a1 * b0 + (low >> 32);
    const uint64_t other = a0 * b1 + (uint32_t)middle;
    const uint64_t high = a1 * b1 + (middle >> 32) + (other >> 32);
    return high << 2 | (uint32_t)other >> 30;
}

/* exp(-difference): the product of those of its bits. */
static number exponential(uint32_t difference, const int64_t *mantissas, const int32_t *exponents) {
    number result = {.mantissa = UINT64_C(1) << FRACTION_BITS, .exponent = 0};
    for (uint32_t bit = 0; difference >> bit; bit++) {
        if ((difference >> bit) & 1u) {
            result.mantissa = product(result.mantissa, (uint64_t)mantissas[bit]);
            result.exponent += exponents[bit];
            if (result.mantissa >> (FRACTION_BITS + 1)) {
                result.mantissa >>= 1;
                result.exponent--;
            }
        }
    }
    return result;
}

/* significand * 2^exponent as float32, to nearest, halves to even; a significand below 2^42, whose last bit says
 * whether there is more below it. */
static float to_float(uint64_t significand, int64_t exponent) {
    int64_t bits = 0;
    while (significand >> bits) {
        bits++;
    }
    /* The last place of a float32 with this leading bit; 2^-149 is the last of all. */
    const int64_t last = exponent + bits - 24 < -149 ? -149 : exponent + bits - 24;
    const int64_t shift = last - exponent;
    uint32_t rounded = 0;
    if (shift <= 0) {
        rounded = (uint32_t)(significand << -shift);
    } else if (shift < 64) {
        const uint64_t floor = significand >> shift;
        const uint64_t rest = significand - (floor << shift);
        const uint64_t half = UINT64_C(1) << (shift - 1);
        rounded = (uint32_t)(floor + (rest > half || (rest == half && (floor & 1))));
    }
    /* The leading bit of a normal number adds one to the exponent's field, and so does a carry out of the fraction. */
    const uint32_t word = rounded + ((uint32_t)(last + 149) << 23);
    float result;
    memcpy(&result, &word, sizeof result);
    return result;
}

/* a / (sum * 2^-(62 - headroom)), where the sum is at least 1.0. */
static float quotient(number a, uint64_t sum, int32_t headroom) {
    int64_t exponent = -a.exponent - headroom;
    while (!(sum >> FRACTION_BITS)) {
        sum <<= 1;
        exponent++;
    }
    uint64_t bits = 0;
    uint64_t rest = a.mantissa;
    for (int i = 0; i <= QUOTIENT_BITS; i++) {
        bits <<= 1;
        if (rest >= sum) {
            rest -= sum;
            bits |= 1u;
        }
        rest <<= 1;
    }
    return to_float(bits << 1 | (rest != 0), exponent - QUOTIENT_BITS - 1);
}

/* The differences of a row's elements to its largest are found by a function of the type. */
typedef uint32_t below_largest(const void *row, int32_t depth, int32_t at);

static void softmax(const void *row, int32_t depth, int32_t headroom, const int64_t *mantissas,
                    const int32_t *exponents, below_largest *below, float *output) {
    uint64_t sum = 0;
    for (int32_t i = 0; i < depth; i++) {
        const number term = exponential(below(row, depth, i), mantissas, exponents);
        const int64_t shift = term.exponent + headroom;
        sum += shift < 64 ? term.mantissa >> shift : 0;
    }
    for (int32_t i = 0; i < depth; i++) {
        output[i] = quotient(exponential(below(row, depth, i), mantissas, exponents), sum, headroom);
    }
}

static uint32_t below_largest_s8(const void *row, int32_t depth, int32_t at) {
    const int8_t *elements = row;
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < depth; i++) {
        largest = elements[i] > largest ? elements[i] : largest;
    }
    return (uint32_t)(largest - elements[at]);
}

static uint32_t below_largest_s16(const void *row, int32_t depth, int32_t at) {
    const int16_t *elements = row;
    int32_t largest = INT16_MIN;
    for (int32_t i = 0; i < depth; i++) {
        largest = elements[i] > largest ? elements[i] : largest;
    }
    return (uint32_t)(largest - elements[at]);
}

void tml_pot_softmax_s8(const tml_pot_softmax_s8_params *params, const int8_t *input, const int64_t *mantissas,
                        const int32_t *exponents, float *output) {
    for (int32_t row = 0; row < params->rows; row++, input += params->depth, output += params->depth) {
        softmax(input, params->depth, params->headroom, mantissas, exponents, below_largest_s8, output);
    }
}

void tml_pot_softmax_s16(const tml_pot_softmax_s16_params *params, const int16_t *input, const int64_t *mantissas,
                         const int32_t *exponents, float *output) {
    for (int32_t row = 0; row < params->rows; row++, input += params->depth, output += params->depth) {
        softmax(input, params->depth, params->headroom, mantissas, exponents, below_largest_s16, output);
    }
}
