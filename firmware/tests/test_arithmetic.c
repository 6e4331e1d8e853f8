/* ports/qemu_xtensa/arithmetic.c against this computer's own arithmetic: every pair of edges, and pairs drawn at random
 * of every length. */
#include <stdbool.h>
#include <stddef.h>

static unsigned divisions_by_zero;

#define DIVIDED_BY_ZERO() divisions_by_zero++
#define __muldi3 tested_muldi3
#define __udivsi3 tested_udivsi3
#define __umodsi3 tested_umodsi3
#define __divsi3 tested_divsi3
#define __modsi3 tested_modsi3
#define __udivdi3 tested_udivdi3
#define __umoddi3 tested_umoddi3
#define __divdi3 tested_divdi3
#define __moddi3 tested_moddi3
#include "../ports/qemu_xtensa/arithmetic.c"
#include "check.h"

#define RANDOM_PAIRS 300000U
#define MAX_EDGES 300U

/* xorshift64*, S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016. */
static uint64_t next_random(void) {
    static uint64_t state = 88172645463325252U;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

/* Half of all numbers of 64 bits are longer than 63: so cut them, and fill a few up with ones. */
static uint64_t of_any_length(void) {
    uint64_t number = next_random();
    number >>= next_random() % 64U;
    return next_random() % 4U == 0 ? ~number : number;
}

static void check32(uint32_t a, uint32_t b) {
    const int32_t c = (int32_t)a, d = (int32_t)b;
    if (b == 0) {
        return;
    }
    CHECK(tested_udivsi3(a, b) == a / b);
    CHECK(tested_umodsi3(a, b) == a % b);
    if (c == INT32_MIN && d == -1) { /* undefined in C */
        CHECK(tested_divsi3(c, d) == INT32_MIN);
        CHECK(tested_modsi3(c, d) == 0);
    } else {
        CHECK(tested_divsi3(c, d) == c / d);
        CHECK(tested_modsi3(c, d) == c % d);
    }
}

static void check64(uint64_t a, uint64_t b) {
    const int64_t c = (int64_t)a, d = (int64_t)b;
    CHECK(tested_muldi3(a, b) == a * b);
    if (b == 0) {
        return;
    }
    CHECK(tested_udivdi3(a, b) == a / b);
    CHECK(tested_umoddi3(a, b) == a % b);
    if (c == INT64_MIN && d == -1) {
        CHECK(tested_divdi3(c, d) == INT64_MIN);
        CHECK(tested_moddi3(c, d) == 0);
    } else {
        CHECK(tested_divdi3(c, d) == c / d);
        CHECK(tested_moddi3(c, d) == c % d);
    }
}

static void check_zero_divisor(void) {
    const unsigned before = divisions_by_zero;
    (void)tested_udivsi3(7, 0);
    (void)tested_modsi3(-7, 0);
    (void)tested_udivdi3(UINT64_MAX, 0);
    (void)tested_moddi3(-7, 0);
    CHECK(divisions_by_zero - before == 4);
}

int main(void) {
    static uint64_t edges[MAX_EDGES]; /* 0, and each power of two, one less, one more, and their negatives */
    size_t count = 0;
    edges[count++] = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t power = UINT64_C(1) << bit;
        edges[count++] = power;
        edges[count++] = power - 1U;
        edges[count++] = power + 1U;
        edges[count++] = 0U - power;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            check64(edges[i], edges[j]);
            check32((uint32_t)edges[i], (uint32_t)edges[j]);
        }
    }
    for (uint32_t i = 0; i < RANDOM_PAIRS; i++) {
        const uint64_t a = of_any_length(), b = of_any_length();
        check64(a, b);
        check32((uint32_t)a, (uint32_t)b);
    }
    check_zero_divisor();
    return check_result("test_arithmetic");
}
