/* Exceptions as messages, and ways to cause them. start.S has saved the registers and switched to a stack of its own.
 */
#include <string.h>

#include "emulated.h"
#include "fault_report.h"
#include "xtensa.h"

#define EXIT_FAULT 3
#define EXCCAUSE_LEVEL1_INTERRUPT 4U
#define DEBUGCAUSE_DBREAK 0x04U /* ISA RM, "Debug Cause register" */
#define NOWHERE ((volatile uint32_t *)UINT32_C(0x20000000))

typedef enum { XT_EXCEPTION, XT_DOUBLE, XT_DEBUG, XT_NMI } fault_kind;

/* start.S knows this layout. */
typedef struct {
    uint32_t a[16];
    uint32_t pc;
    uint32_t ps;
    uint32_t cause;
    uint32_t address;
    uint32_t debugcause;
    uint32_t interrupt;
    uint32_t kind;
} fault_frame;

fault_frame xt_fault_frame;
uint32_t xt_interrupt_frame[13];
_Noreturn void xt_fault(const fault_frame *frame);

static const tml_session *reported_session;

/* ISA RM, "Exception Causes"; those that this core can have. */
static const struct {
    uint32_t cause;
    bool address; /* EXCVADDR says which */
    const char *name;
} causes[] = {
    {0, false, "IllegalInstruction"},
    {1, false, "Syscall"},
    {2, false, "InstructionFetchError"},
    {3, true, "LoadStoreError"},
    {EXCCAUSE_LEVEL1_INTERRUPT, false, "unhandled interrupt"},
    {5, false, "Alloca"},
    {6, false, "IntegerDivideByZero"},
    {8, false, "Privileged"},
    {9, true, "LoadStoreAlignment"},
    {12, true, "InstrPIFDataError"},
    {13, true, "LoadStorePIFDataError"},
    {14, true, "InstrPIFAddrError"},
    {15, true, "LoadStorePIFAddrError"},
    {20, true, "InstFetchProhibited"},
    {28, true, "LoadProhibited"},
    {29, true, "StoreProhibited"},
};

static void append(fault_text *text, const char *name, uint32_t value) {
    fault_append(text, ", ");
    fault_append(text, name);
    fault_append(text, " ");
    fault_append_hex(text, value);
}

static void describe_exception(fault_text *text, const fault_frame *frame) {
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (causes[i].cause == frame->cause) {
            fault_append(text, causes[i].name);
            if (causes[i].address) {
                append(text, "address", frame->address);
            }
            break;
        }
    }
    if (text->size == 0) {
        fault_append(text, "exception");
    }
}

/* The guard catches a frame that stores into it; a large frame may step over it and fault somewhere else. */
static bool stack_overflowed(const fault_frame *frame) {
    bool guard = frame->kind == XT_DEBUG && (frame->debugcause & DEBUGCAUSE_DBREAK) != 0;
    return guard || frame->a[1] < (uint32_t)(uintptr_t)link_stack_bottom;
}

static void describe(fault_text *text, const fault_frame *frame) {
    if (frame->kind == XT_DOUBLE) {
        fault_append(text, "in an exception handler: ");
    }
    if (frame->kind != XT_DOUBLE && stack_overflowed(frame)) {
        fault_append(text, "stack overflow");
    } else if (frame->kind == XT_NMI) {
        fault_append(text, "unhandled NMI");
    } else if (frame->kind == XT_DEBUG) {
        fault_append(text, "debug exception");
        append(text, "debugcause", frame->debugcause);
    } else {
        describe_exception(text, frame);
        if (frame->cause == EXCCAUSE_LEVEL1_INTERRUPT) {
            append(text, "interrupt", frame->interrupt);
        }
    }
    append(text, "pc", frame->pc);
    append(text, "a0", frame->a[0]); /* the caller */
    append(text, "sp", frame->a[1]);
    append(text, "ps", frame->ps);
    append(text, "exccause", frame->cause);
    append(text, "a2", frame->a[2]);
    append(text, "a3", frame->a[3]);
    append(text, "a4", frame->a[4]);
    append(text, "a5", frame->a[5]);
}

static void log_registers(const fault_frame *frame) {
    static const char names[] = "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14 a15";
    const char *name = names;
    for (size_t line = 0; line < 16; line += 8) {
        fault_text text = {.size = 0};
        for (size_t i = line; i < line + 8; i++) {
            while (*name != ' ' && *name != '\0') {
                const char letter[2] = {*name++, '\0'};
                fault_append(&text, letter);
            }
            name++;
            fault_append(&text, " ");
            fault_append_hex(&text, frame->a[i]);
            fault_append(&text, " ");
        }
        emulated_console(text.text);
    }
}

void xt_fault(const fault_frame *frame) {
    static fault_text text;
    static volatile uint32_t depth;
    if (depth++ != 0) { /* the report itself failed: nothing that can fail again, but this */
        if (depth == 2) {
            emulated_console(text.text);
            emulated_console("and another fault while it was being reported");
        }
        emulated_exit(EXIT_FAULT);
    }
    describe(&text, frame);
    log_registers(frame);
    if (reported_session == NULL || reported_session->config.port == NULL) {
        emulated_console(text.text);
    } else {
        fault_report(reported_session, text.text);
    }
    emulated_exit(EXIT_FAULT);
}

void emulated_report_faults(const tml_session *session) {
    reported_session = session;
}

/* ---- planted ---- */

void emulated_bad_instruction(void) {
    __asm__ volatile("ill"); /* 0x000000: illegal for ever, ISA RM */
}

void emulated_wild_write(void) {
    *NOWHERE = 0xDEADBEEFU;
}

/* Never 0, but the compiler cannot know. */
static __attribute__((noinline)) uint32_t deeper(volatile uint32_t *above) {
    volatile uint32_t here = *above | 1U;
    uint32_t below = here != 0 ? deeper(&here) : 0U;
    return below + here; /* so that it is no jump */
}

void emulated_overflow_stack(void) {
    volatile uint32_t top = 0;
    (void)deeper(&top);
}

/* This processor has no lock-up state. Without vectors, the fetch of the first instruction of a handler is a fault
 * itself, whose handler is fetched from there as well, and so on without end. */
void emulated_lock_up(void) {
    XT_WRITE(vecbase, UINT32_C(0xE0000000));
    __asm__ volatile("ill");
}
