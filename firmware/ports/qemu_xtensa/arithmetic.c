/* The integer routines that GCC calls for this core and that Debian's libgcc.a lacks (it has the shifts and comparisons
 * of 64 bits): names and semantics, GCC Internals, "Routines for integer arithmetic". An LX106 multiplies 16 x 16 to 32
 * bits and 32 x 32 to the lower 32, and does not divide.
 *
 * Products and quotients are those of C where C defines them; INT_MIN / -1 wraps to INT_MIN (remainder 0). Division by
 * zero is an illegal instruction, as near as this core comes to the IntegerDivideByZero exception of its larger kin.
 * tests/test_arithmetic.c includes this file under other names. */
#include <stdint.h>

#ifndef DIVIDED_BY_ZERO
#define DIVIDED_BY_ZERO() __asm__ volatile("ill")
#endif

uint64_t __muldi3(uint64_t a, uint64_t b);
uint32_t __udivsi3(uint32_t a, uint32_t b);
uint32_t __umodsi3(uint32_t a, uint32_t b);
int32_t __divsi3(int32_t a, int32_t b);
int32_t __modsi3(int32_t a, int32_t b);
uint64_t __udivdi3(uint64_t a, uint64_t b);
uint64_t __umoddi3(uint64_t a, uint64_t b);
int64_t __divdi3(int64_t a, int64_t b);
int64_t __moddi3(int64_t a, int64_t b);

static inline uint32_t high(uint64_t a) {
    return (uint32_t)(a >> 32);
}

static inline uint64_t pair(uint32_t upper, uint32_t lower) {
    return (uint64_t)upper << 32 | lower;
}

/* By halves of 16 bits; the upper words only reach the upper word. */
uint64_t __muldi3(uint64_t a, uint64_t b) {
    const uint32_t a0 = (uint16_t)a, a1 = (uint32_t)a >> 16;
    const uint32_t b0 = (uint16_t)b, b1 = (uint32_t)b >> 16;
    const uint32_t outer = a0 * b1;
    const uint32_t middle = outer + a1 * b0;
    const uint32_t bottom = a0 * b0;
    const uint32_t lower = bottom + (middle << 16);
    uint32_t upper = a1 * b1 + (middle >> 16);
    upper += (uint32_t)(middle < outer) << 16; /* what did not fit the sum of the middle products */
    upper += (uint32_t)(lower < bottom);
    upper += (uint32_t)a * high(b) + high(a) * (uint32_t)b;
    return pair(upper, lower);
}

/* Schoolbook, one bit at a time, beginning where the divisor is as long as the dividend. */
static inline uint32_t divide32(uint32_t a, uint32_t b, uint32_t *remainder) {
    uint32_t quotient = 0;
    if (b == 0) {
        DIVIDED_BY_ZERO();
    } else if (a >= b) {
        int left = __builtin_clz(b) - __builtin_clz(a);
        b <<= left;
        do {
            quotient <<= 1;
            if (a >= b) {
                a -= b;
                quotient++;
            }
            b >>= 1;
        } while (--left >= 0);
    }
    *remainder = a;
    return quotient;
}

uint32_t __udivsi3(uint32_t a, uint32_t b) {
    uint32_t remainder;
    return divide32(a, b, &remainder);
}

uint32_t __umodsi3(uint32_t a, uint32_t b) {
    uint32_t remainder;
    (void)divide32(a, b, &remainder);
    return remainder;
}

static inline uint32_t magnitude32(int32_t a) {
    return a < 0 ? 0U - (uint32_t)a : (uint32_t)a;
}

int32_t __divsi3(int32_t a, int32_t b) {
    uint32_t remainder;
    uint32_t quotient = divide32(magnitude32(a), magnitude32(b), &remainder);
    return (int32_t)((a ^ b) < 0 ? 0U - quotient : quotient);
}

int32_t __modsi3(int32_t a, int32_t b) {
    uint32_t remainder;
    (void)divide32(magnitude32(a), magnitude32(b), &remainder);
    return (int32_t)(a < 0 ? 0U - remainder : remainder); /* C11 6.5.5: the sign of the dividend */
}

static inline int leading_zeros64(uint64_t a) {
    return high(a) != 0 ? __builtin_clz(high(a)) : (uint32_t)a != 0 ? 32 + __builtin_clz((uint32_t)a) : 64;
}

static uint64_t divide64(uint64_t a, uint64_t b, uint64_t *remainder) {
    if (high(a) == 0 && high(b) == 0) {
        uint32_t rest;
        uint32_t quotient = divide32((uint32_t)a, (uint32_t)b, &rest);
        *remainder = rest;
        return quotient;
    }
    uint64_t quotient = 0;
    if (b == 0) {
        DIVIDED_BY_ZERO();
    } else if (a >= b) {
        int left = leading_zeros64(b) - leading_zeros64(a);
        b <<= left;
        do {
            quotient <<= 1;
            if (a >= b) {
                a -= b;
                quotient++;
            }
            b >>= 1;
        } while (--left >= 0);
    }
    *remainder = a;
    return quotient;
}

uint64_t __udivdi3(uint64_t a, uint64_t b) {
    uint64_t remainder;
    return divide64(a, b, &remainder);
}

uint64_t __umoddi3(uint64_t a, uint64_t b) {
    uint64_t remainder;
    (void)divide64(a, b, &remainder);
    return remainder;
}

static inline uint64_t magnitude64(int64_t a) {
    return a < 0 ? 0U - (uint64_t)a : (uint64_t)a;
}

int64_t __divdi3(int64_t a, int64_t b) {
    uint64_t remainder;
    uint64_t quotient = divide64(magnitude64(a), magnitude64(b), &remainder);
    return (int64_t)((a ^ b) < 0 ? 0U - quotient : quotient);
}

int64_t __moddi3(int64_t a, int64_t b) {
    uint64_t remainder;
    (void)divide64(magnitude64(a), magnitude64(b), &remainder);
    return (int64_t)(a < 0 ? 0U - remainder : remainder);
}
