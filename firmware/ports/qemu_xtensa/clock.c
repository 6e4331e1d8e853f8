/* CCOUNT, 32 bits at 40 MHz, as a clock of 64 bits and as a count of instructions.
 *
 * Each time it passes a multiple of 2^31 (53 s), the interrupt of CCOMPARE0 counts one "half". The lowest bit of that
 * number must be the highest of CCOUNT; if it is not, the interrupt is about to come. So no reader has to lock
 * anything.
 *
 * With `-icount shift=5` an instruction takes 2^5 ns, i.e. 1.28 ticks: no two instructions see the same CCOUNT, and the
 * number of instructions is CCOUNT / 1.28 rounded up, exactly. (4 would leave gaps: 0.64 ticks.) */
#include "xtensa.h"

#define TICKS_PER_MS (XT_CLOCK_HZ / 1000U)
#define HALF UINT32_C(0x80000000)
#define INTERRUPT_INSTRUCTIONS 31U /* from the vector to rfe, for the timer: start.S */

/* start.S knows this layout. */
struct {
    volatile uint32_t halves;
    volatile uint32_t interrupts;
} xt_clock;

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

uint64_t clock_ticks(void) {
    uint32_t halves = xt_clock.halves;
    uint32_t low = XT_READ(ccount);
    halves += (halves ^ low >> 31) & 1U;
    return (uint64_t)halves << 31 | (low & (HALF - 1U));
}

uint64_t clock_instructions(void) {
    uint32_t interrupts = xt_clock.interrupts;
    uint64_t ticks = clock_ticks();
    /* 25 ns a tick, 32 ns an instruction. */
    return ((((ticks << 4) + (ticks << 3) + ticks) + 31U) >> 5) - (uint64_t)interrupts * INTERRUPT_INSTRUCTIONS;
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

bool clock_counts_instructions(void) {
    for (unsigned i = 0; i < 3; i++) {
        uint32_t before, after, count = 1000;
        /* 1 + 2 * 1000 - 1 + 1 instructions from one rsr to the other: addi and bnez, the last of them not taken */
        __asm__ volatile("rsr.ccount %0\n"
                         "1: addi %2, %2, -1\n"
                         "bnez %2, 1b\n"
                         "rsr.ccount %1\n"
                         : "=&r"(before), "=&r"(after), "+r"(count));
        uint32_t ticks = after - before;
        if (ticks < 2001U * 128U / 100U || ticks > 2001U * 128U / 100U + 1U) {
            return false;
        }
    }
    return true;
}

void clock_sleep(uint32_t timeout_ms) {
    uint32_t now = XT_READ(ccount);
    uint32_t left = HALF - (now & (HALF - 1U));
    if (timeout_ms < left / TICKS_PER_MS) {
        XT_WRITE(ccompare0, now + timeout_ms * TICKS_PER_MS); /* the interrupt sets the next half again */
    }
    __asm__ volatile("waiti 0" ::: "memory");
}
