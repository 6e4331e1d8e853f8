/* Faults of the processor as text for the host, and ways to cause them. */
#include "cortex_m4.h"
#include "fault_report.h"
#include "machine.h"

#define FRAME_WORDS 8U       /* what the processor pushes */
#define LONG_FRAME_WORDS 26U /* ... where floating point was in use: S0 to S15, FPSCR and a gap lie behind */
#define FRAME_LR 5U          /* r0 to r3 are the first, r12 is between: ARMv7-M ARM, B1.5.6 */
#define FRAME_PC 6U
#define PSR_ALIGNED (1U << 9) /* ... and one word before it, if the stack was not on a multiple of 8 */
#define ON_PROCESS_STACK 4U   /* bits of EXC_RETURN: where the frame is, */
#define SHORT_FRAME 16U       /* ... and that it is one without floating point */
#define OVERFLOW_REACH 4096U  /* an access so far below the stack is taken for its overflow */
#define NOWHERE 0x60000000U   /* FSMC bank 1: no memory is connected, and the controller is off */

static const tml_session *reported_session; /* only what a handler cannot be handed otherwise */
static volatile bool lock_up;

void machine_report_faults(const tml_session *session) {
    reported_session = session;
}

/* ---- what happened ---- */

static const struct {
    uint32_t bit;
    const char *text;
} causes[] = {
    /* ARMv7-M ARM, B3.2.15: CFSR */
    {0, ", instruction fetch refused by the MPU"},
    {1, ", data access refused by the MPU"},
    {3, ", unstacking"},
    {4, ", stacking"},
    {8, ", instruction fetch"},
    {9, ", precise data access"},
    {10, ", imprecise data access"},
    {11, ", unstacking"},
    {12, ", stacking"},
    {16, ", undefined instruction"},
    {17, ", invalid state"},
    {18, ", invalid exception return"},
    {19, ", no coprocessor"},
    {24, ", unaligned access"},
    {25, ", division by zero"},
};

static void append_value(fault_text *text, const char *name, uint32_t value) {
    fault_append(text, name);
    fault_append_hex(text, value);
}

static void append_exception(fault_text *text, uint32_t number) {
    static const char *const names[] = {
        "jump to the fault handler", "reset", "NMI", "HardFault", "MemManage", "BusFault", "UsageFault"};
    if (number < sizeof names / sizeof names[0]) {
        fault_append(text, names[number]);
    } else {
        append_value(text, "unexpected exception ", number);
    }
}

/* Where the processor could not push its registers, the program's last return address is the best there is: the lowest
 * word of the stack that points behind a call in flash. */
static uint32_t last_return_address(void) {
    const uint32_t *at = (const uint32_t *)(const void *)link_stack_bottom;
    const uint32_t *end = (const uint32_t *)(const void *)link_stack_top;
    for (; at < end; at++) {
        if ((*at & 1U) != 0 && *at > (uintptr_t)link_text_start && *at < (uintptr_t)link_text_end) {
            return *at;
        }
    }
    return 0;
}

static bool inside_stack(uintptr_t frame) {
    return frame % 4U == 0 && frame >= (uintptr_t)link_stack_bottom &&
           frame <= (uintptr_t)link_handler_stack_top - FRAME_WORDS * sizeof(uint32_t);
}

static bool is_overflow(uintptr_t frame, uint32_t exc_return, bool has_address, uint32_t address) {
    const uintptr_t bottom = (uintptr_t)link_stack_bottom;
    return (exc_return & ON_PROCESS_STACK) != 0 &&
           (frame < bottom || (has_address && address < bottom && bottom - address <= OVERFLOW_REACH));
}

__attribute__((used)) static _Noreturn void report(uintptr_t frame, uint32_t exc_return) {
    static fault_text text;
    uint32_t number;
    __asm__ volatile("mrs %0, ipsr" : "=r"(number));
    const uint32_t cfsr = SCB_CFSR;
    const bool has_address = (cfsr & (SCB_CFSR_MMARVALID | SCB_CFSR_BFARVALID)) != 0;
    const uint32_t address = (cfsr & SCB_CFSR_MMARVALID) != 0 ? SCB_MMFAR : SCB_BFAR;
    const bool has_frame = inside_stack(frame) && (cfsr & SCB_CFSR_STACKING) == 0;
    if (lock_up) {
        machine_bad_instruction();
    }
    if (text.size != 0) { /* the line or the session is broken: with nothing but the console */
        machine_console(text.text);
        machine_console("and another fault while it was being reported");
        machine_after_fault();
    }
    if (is_overflow(frame, exc_return, has_address, address)) {
        fault_append(&text, "stack overflow, ");
    }
    append_exception(&text, number);
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if ((cfsr & 1U << causes[i].bit) != 0) {
            fault_append(&text, causes[i].text);
        }
    }
    if (has_address) {
        append_value(&text, ", address ", address);
    }
    const uint32_t *words = (const uint32_t *)frame;
    const bool aligned = has_frame && (words[FRAME_WORDS - 1] & PSR_ALIGNED) != 0;
    if (has_frame) {
        append_value(&text, ", pc ", words[FRAME_PC]);
        append_value(&text, ", lr ", words[FRAME_LR]);
    } else {
        append_value(&text, ", registers lost, called from ", last_return_address());
    }
    const uint32_t pushed = (exc_return & SHORT_FRAME) != 0 ? FRAME_WORDS : LONG_FRAME_WORDS;
    append_value(&text, ", sp ", (uint32_t)(frame + sizeof(uint32_t) * (pushed + (aligned ? 1U : 0U))));
    append_value(&text, ", cfsr ", cfsr);
    append_value(&text, ", hfsr ", SCB_HFSR);
    static const char *const names[] = {", r0 ", ", r1 ", ", r2 ", ", r3 "};
    for (size_t i = 0; has_frame && i < sizeof names / sizeof names[0]; i++) {
        append_value(&text, names[i], words[i]);
    }
    if (reported_session != NULL && reported_session->config.port != NULL) {
        fault_report(reported_session, text.text);
    } else {
        machine_console(text.text);
    }
    machine_after_fault();
}

__attribute__((naked)) void machine_fault(void) {
    __asm__ volatile("tst lr, #4\n\t"
                     "ite eq\n\t"
                     "mrseq r0, msp\n\t"
                     "mrsne r0, psp\n\t"
                     "mov r1, lr\n\t"
                     "b %c0" ::"i"(report));
}

/* ---- how to get there ---- */

void machine_bad_instruction(void) {
    __asm__ volatile("udf #0"); /* "permanently undefined": ARMv7-M ARM, A7.7.194 */
}

void machine_wild_write(void) {
    *(volatile uint32_t *)NOWHERE = 1;
}

/* Volatile, so that no compiler sees that this has no end, or makes a loop of it. */
static volatile uint32_t endless = 1;

static uint32_t recurse(uint32_t depth) {
    volatile uint32_t here = depth;
    if (endless != 0) {
        here += recurse(depth + 1U);
    }
    return here;
}

void machine_overflow_stack(void) {
    endless = recurse(0);
}

/* A fault in the handler of a fault becomes a HardFault, and a fault in that handler stops the processor for good. */
void machine_lock_up(void) {
    lock_up = true;
    machine_bad_instruction();
}
