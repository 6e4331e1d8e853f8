/* CCOUNT, 32 bits at 40 MHz, as a clock of 64 bits and as a count of instructions.
 *
 * Each time it passes a multiple of 2^31 (53 s), the interrupt of CCOMPARE0 counts one "half". The lowest bit of that
 * number must be the highest of CCOUNT; if it is not, the interrupt is about to come. So no reader has to lock
 * anything.
 *
 * With `-icount shift=5` an instruction takes 2^5 ns, and a tick is 25 ns. So no two instructions see the same CCOUNT,
 * and which one it was follows exactly: the one time of the form 32 n + phase that lies within that tick. (Shift 4
 * would put two instructions into some ticks.) The phase is the time at which QEMU reset the core; it differs from run
 * to run. */
#include "xtensa.h"

#define TICKS_PER_MS (XT_CLOCK_HZ / 1000U)
#define HALF UINT32_C(0x80000000)
#define NS_PER_TICK 25U
#define NS_PER_INSTRUCTION 32U
#define READINGS 26U
#define INTERRUPT_INSTRUCTIONS                                                                                         \
    32U /* for the timer: 30 in start.S and, measured, 2 that QEMU 7.2 counts for entering                             \
         */

/* start.S knows this layout. */
struct {
    volatile uint32_t halves;
    volatile uint32_t interrupts;
} xt_clock;

static uint32_t phase; /* 0 to 31 ns */
static uint64_t ms_counted_to;
static uint32_t ms;

void clock_start(void) {
    XT_WRITE(intenable, 0);
    xt_clock.halves = XT_READ(ccount) >> 31;
    xt_clock.interrupts = 0;
    XT_WRITE(ccompare0, (xt_clock.halves + 1U) << 31);
    XT_WRITE(intenable, XT_INTERRUPT_TIMER);
    ms_counted_to = clock_ticks();
    ms = 0;
}

static inline uint32_t halves_at(uint32_t halves, uint32_t low) {
    return halves + ((halves ^ low >> 31) & 1U);
}

uint64_t clock_ticks(void) {
    uint32_t halves = xt_clock.halves;
    uint32_t low = XT_READ(ccount);
    return (uint64_t)halves_at(halves, low) << 31 | (low & (HALF - 1U));
}

/* (25 ticks + 31 - phase) / 32 less the interrupts, in digits of 16 bits: the carries of a sum of 64 bits would be
 * branches, and what is to be counted would depend on when it is counted. */
uint64_t clock_instructions(void) {
    const uint32_t interrupts = xt_clock.interrupts, counted = xt_clock.halves;
    const uint32_t low = XT_READ(ccount);
    const uint32_t halves = halves_at(counted, low);
    const uint32_t less = interrupts * INTERRUPT_INSTRUCTIONS, minus = 0U - less;
    const uint32_t rest = (low % 32U * NS_PER_TICK + (NS_PER_INSTRUCTION - 1U) - phase) / NS_PER_INSTRUCTION;
    const uint32_t ticks32 = halves << 26 | (low & (HALF - 1U)) >> 5; /* ticks / 32, of which halves / 64 is too much */
    const uint32_t digit0 = (ticks32 & 0xFFFFU) * NS_PER_TICK + rest + (minus & 0xFFFFU);
    const uint32_t digit1 = (ticks32 >> 16) * NS_PER_TICK + (minus >> 16) + (digit0 >> 16);
    const uint32_t upper = (halves >> 6) * NS_PER_TICK + (0U - ((less | minus) >> 31)) + (digit1 >> 16);
    return (uint64_t)upper << 32 | (digit1 << 16 | (digit0 & 0xFFFFU));
}

uint32_t clock_uptime_ms(void) {
    uint64_t passed = clock_ticks() - ms_counted_to;
    while (passed >> 32 != 0) {
        passed -= (uint64_t)TICKS_PER_MS << 16;
        ms_counted_to += (uint64_t)TICKS_PER_MS << 16;
        ms += 1U << 16;
    }
    uint32_t more = (uint32_t)passed / TICKS_PER_MS;
    ms_counted_to += more * TICKS_PER_MS;
    ms += more;
    return ms;
}

/* One reading every 6 instructions, i.e. every 192 ns. */
static void read_often(uint32_t *readings) {
    uint32_t left = READINGS;
    __asm__ volatile("1: rsr.ccount a8\n"
                     "s32i a8, %0, 0\n"
                     "addi %0, %0, 4\n"
                     "addi %1, %1, -1\n"
                     "nop\n"
                     "bnez %1, 1b\n"
                     : "+r"(readings), "+r"(left)::"a8", "memory");
}

/* 192 and 25 have no common divisor, so the readings pass a tick's boundary at all 25 places that it can have between
 * two of them: only one number of ns behind a tick, at the first reading, explains them all. */
bool clock_calibrate(void) {
    uint32_t readings[READINGS];
    uint32_t ps;
    __asm__ volatile("rsil %0, 1" : "=r"(ps)::"memory");
    read_often(readings);
    XT_WRITE(ps, ps);
    for (uint32_t behind = 0; behind < NS_PER_TICK; behind++) {
        uint32_t i = 1;
        while (i < READINGS && readings[i] - readings[0] == (behind + i * 192U) / NS_PER_TICK) {
            i++;
        }
        if (i == READINGS) {
            phase = (readings[0] * NS_PER_TICK + behind) % NS_PER_INSTRUCTION;
            return true;
        }
    }
    return false;
}

void clock_sleep(uint32_t timeout_ms) {
    uint32_t now = XT_READ(ccount);
    uint32_t left = HALF - (now & (HALF - 1U));
    if (timeout_ms < left / TICKS_PER_MS) {
        XT_WRITE(ccompare0, now + timeout_ms * TICKS_PER_MS); /* the interrupt sets the next half again */
    }
    __asm__ volatile("waiti 0" ::: "memory");
}
