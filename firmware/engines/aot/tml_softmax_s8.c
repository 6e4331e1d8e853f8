/* Softmax in fixed point.
 *
 * The arithmetic is that of TensorFlow Lite's reference kernel (tensorflow/lite/kernels/internal/reference/softmax.h),
 * which is written on gemmlowp's fixed-point types (B. Jacob, P. Warden: gemmlowp, fixedpoint/fixedpoint.h): every
 * rounding below is one of theirs, in their order, because a different one changes an output's last bit. Qm.n is a
 * signed number with m integer and n fraction bits in an int32.
 */
#include "tml_softmax_s8.h"

#define FRACTION_BITS 26     /* scaled differences are Q5.26 */
#define ACCUMULATOR_SHIFT 12 /* the sum of exponentials is Q12.19, its terms Q0.31 */

/* a * b of two fractions (Q0.31 times Qm.n is Qm.n), halves away from zero: SaturatingRoundingDoublingHighMul. */
static int32_t mul(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    const int64_t product = (int64_t)a * b;
    const int64_t half = product >= 0 ? INT64_C(1) << 30 : 1 - (INT64_C(1) << 30);
    return (int32_t)((product + half) / (INT64_C(1) << 31));
}

/* value / 2^exponent, halves away from zero: RoundingDivideByPOT. In 64 bits, so that exponents above 31 are defined.
 */
static int32_t div_pot(int32_t value, uint32_t exponent) {
    const int64_t half = exponent == 0 ? 0 : INT64_C(1) << (exponent - 1);
    const int64_t magnitude = value < 0 ? -(int64_t)value : value;
    const int64_t quotient = (magnitude + half) >> exponent;
    return (int32_t)(value < 0 ? -quotient : quotient);
}

/* value * 2^exponent, saturating: SaturatingRoundingMultiplyByPOT for a positive exponent. */
static int32_t mul_pot(int32_t value, uint32_t exponent) {
    const int64_t product = (int64_t)value * (INT64_C(1) << exponent);
    if (product > INT32_MAX) {
        return INT32_MAX;
    }
    return product < INT32_MIN ? INT32_MIN : (int32_t)product;
}

/* exp(a) for a in [-1/4, 0), Q0.31: the Taylor series to the fourth order around -1/8. */
static int32_t exp_quarter(int32_t a) {
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t x = a + (INT32_C(1) << 28);
    const int32_t x2 = mul(x, x);
    const int32_t x3 = mul(x2, x);
    const int32_t x4 = mul(x2, x2);
    const int32_t tail = div_pot(mul(div_pot(x4, 2) + x3, third) + x2, 1); /* x^2/2 + x^3/6 + x^4/24 */
    return exp_minus_eighth + mul(exp_minus_eighth, x + tail);
}

/* exp(a) for a <= 0 in Q5.26; Q0.31. exp(-k) = product of exp(-2^i) over the bits of k, in units of a quarter. */
static int32_t exp_negative(int32_t a) {
    static const int32_t factor[] = {1672461947, 1302514674, 790015084, 290630308,
                                     39332535,   720401,     242}; /* exp(-2^(i-2)) */
    const int32_t quarter = INT32_C(1) << (FRACTION_BITS - 2);
    if (a == 0) {
        return INT32_MAX;
    }
    /* Two's complement: the low bits of a negative number are its distance above the next lower multiple. */
    const int32_t fraction = (int32_t)((uint32_t)a & (uint32_t)(quarter - 1)) - quarter;
    const uint32_t quarters = (uint32_t)(fraction - a) >> (FRACTION_BITS - 2);
    int32_t result = exp_quarter(mul_pot(fraction, 5));
    for (uint32_t i = 0; i < sizeof factor / sizeof factor[0]; i++) {
        if ((quarters >> i) & 1u) {
            result = mul(result, factor[i]);
        }
    }
    return result;
}

/* 1 / (1 + a) for a in [0, 1), Q0.31: three steps of Newton-Raphson division, in Q2.29. */
static int32_t one_over_one_plus(int32_t a) {
    const int32_t one = INT32_C(1) << 29;
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2); /* RoundingHalfSum(a, 1) */
    int32_t x = 1515870810 + mul(half_denominator, -1010580540);                  /* 48/17 - 32/17 * d */
    for (int step = 0; step < 3; step++) {
        x += mul_pot(mul(x, one - mul(half_denominator, x)), 2);
    }
    return mul_pot(x, 1);
}

static uint32_t leading_zeros(uint32_t value) {
    uint32_t count = 0;
    while (count < 32 && (value & 0x80000000u) == 0) {
        value <<= 1;
        count++;
    }
    return count;
}

static int32_t exp_of_difference(int32_t difference, const tml_softmax_s8_params *params) {
    /* diff_min bounds |difference| so that this product stays in 32 bits. */
    const int32_t shifted = (int32_t)((int64_t)difference * (INT64_C(1) << params->left_shift));
    return exp_negative(mul(shifted, params->multiplier));
}

void tml_softmax_s8(const int8_t *input, uint32_t rows, uint32_t depth, const tml_softmax_s8_params *params,
                    int8_t *output) {
    for (uint32_t row = 0; row < rows; row++, input += depth, output += depth) {
        int32_t largest = INT8_MIN;
        for (uint32_t i = 0; i < depth; i++) {
            largest = input[i] > largest ? input[i] : largest;
        }
        int32_t sum = 0;
        for (uint32_t i = 0; i < depth; i++) {
            const int32_t difference = input[i] - largest;
            if (difference >= params->diff_min) {
                sum += div_pot(exp_of_difference(difference, params), ACCUMULATOR_SHIFT);
            }
        }
        /* 1 / sum = 1 / (1 + a) * 2^-k with a in [0, 1). The maximum itself makes sum at least 1.0, so it is not zero.
         */
        const uint32_t headroom = leading_zeros((uint32_t)sum);
        const int32_t reciprocal = one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - 0x80000000u));
        const uint32_t exponent = ACCUMULATOR_SHIFT - headroom + 31 - 8;
        for (uint32_t i = 0; i < depth; i++) {
            const int32_t difference = input[i] - largest;
            int32_t value = INT8_MIN;
            if (difference >= params->diff_min) {
                value += div_pot(mul(reciprocal, exp_of_difference(difference, params)), exponent);
            }
            output[i] = (int8_t)(value > INT8_MAX ? INT8_MAX : value);
        }
    }
}
