/* What of ports/qemu_stm32f405 only the processor can show. The command line says what to do; tests/firmware/
 * test_stm32f405.py reads what comes out. */
#include <string.h>

#include "emulated.h"
#include "fault_report.h"

#define FAILED 9
#define SURVIVED 7

static volatile uint32_t zero; /* that no compiler knows */

static void say(const char *name, uint32_t value) {
    fault_text text = {.size = 0};
    fault_append(&text, name);
    fault_append(&text, " ");
    fault_append_hex(&text, value);
    emulated_console(text.text);
}

/* ---- clocks ---- */

/* Ticks of a loop of two instructions, less those two. */
static uint32_t loop_overhead(tml_port *port, uint32_t turns) {
    uint32_t left = turns;
    const uint64_t start = port->ticks(port->context);
    __asm__ volatile("1: subs %0, %0, #1\n\t"
                     "bne 1b"
                     : "+r"(left)
                     :
                     : "cc");
    return (uint32_t)(port->ticks(port->context) - start) - 2U * turns;
}

static void clocks(void) {
    static tml_port port;
    static const emulated_options options = {.serial = true, .instructions = true};
    static const uint32_t turns[] = {1, 1000, 100000, 1000000};
    if (emulated_port_init(&port, &options) != TML_OK) {
        emulated_exit(FAILED);
    }
    for (uint32_t i = 0; i < 2 * sizeof turns / sizeof turns[0]; i++) {
        say("overhead", loop_overhead(&port, turns[i / 2]));
    }
    uint8_t byte;
    const uint32_t start = port.uptime_ms(port.context);
    const int32_t got = port.read(port.context, &byte, 1, 250);
    say("waited", port.uptime_ms(port.context) - start);
    say("got", (uint32_t)got);
}

/* ---- freestanding.c, built for this processor ---- */

#define BYTES 200U

static uint32_t wrong_bytes(const uint8_t *data, const uint8_t *expected) {
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < BYTES; i++) {
        wrong += data[i] != expected[i];
    }
    return wrong;
}

static uint32_t copy_case(uint32_t to, uint32_t from, uint32_t size) {
    static uint8_t source[BYTES], target[BYTES];
    static volatile uint8_t expected[BYTES]; /* volatile: filled by loops, not by what is tested */
    for (uint32_t i = 0; i < BYTES; i++) {
        source[i] = (uint8_t)(37U * i + 11U);
        target[i] = 0xA5;
        expected[i] = i >= to && i < to + size ? (uint8_t)(37U * (i - to + from) + 11U) : 0xA5;
    }
    memcpy(target + to, source + from, size);
    uint32_t wrong = wrong_bytes(target, (const uint8_t *)expected);
    wrong += memcmp(target + to, source + from, size) != 0;
    for (uint32_t i = 0; i < size; i++) {
        expected[to + i] = 0x3C;
    }
    memset(target + to, 0x3C, size);
    return wrong + wrong_bytes(target, (const uint8_t *)expected);
}

static void copies(void) {
    uint32_t wrong = 0;
    uint32_t cases = 0;
    for (uint32_t to = 0; to < 8; to++) {
        for (uint32_t from = 0; from < 8; from++) {
            for (uint32_t size = 0; size < 100; size++, cases++) {
                wrong += copy_case(to, from, size);
            }
        }
    }
    say("cases", cases);
    say("wrong", wrong);
}

/* ---- what shall not pass ---- */

static void null_read(void) {
    zero = *(volatile uint32_t *)zero;
}

static void null_write(void) {
    *(volatile uint32_t *)zero = 1;
}

static void flash_write(void) {
    *(volatile uint32_t *)0x08000100 = 2;
}

static void jump_to_data(void) {
    static uint16_t code[] = {0x4770}; /* bx lr */
    ((void (*)(void))((uintptr_t)code | 1U))();
}

static void divide_by_zero(void) {
    zero = 5U / zero;
}

static void large_frame(void) {
    volatile uint8_t large[20000];
    large[zero] = 1;
    zero = large[zero];
}

static void unexpected_interrupt(void) {
    *(volatile uint32_t *)0xE000E104 = 1U << 6; /* NVIC, enable and make pending: USART2 */
    *(volatile uint32_t *)0xE000E204 = 1U << 6;
    __asm__ volatile("dsb\n\tisb");
}

/* With the FPU in use the processor pushes a longer frame: the report's "sp" has to be this one all the same. */
static void fault_with_floats(void) {
    uint32_t sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    say("stack", sp);
    __asm__ volatile(".inst.w 0xEEB70A00\n\t" /* vmov.f32 s0, #1.0 */
                     "udf #0");
}

static void floating_point(void) {
    __asm__ volatile(".inst.w 0xEEB70A00"); /* vmov.f32 s0, #1.0 */
}

static const struct {
    const char *name;
    void (*run)(void);
} actions[] = {
    {"clocks", clocks},
    {"copies", copies},
    {"null-read", null_read},
    {"null-write", null_write},
    {"flash-write", flash_write},
    {"jump-to-data", jump_to_data},
    {"divide-by-zero", divide_by_zero},
    {"large-frame", large_frame},
    {"unexpected-interrupt", unexpected_interrupt},
    {"floating-point", floating_point},
    {"fault-with-floats", fault_with_floats},
    {"bad-instruction", emulated_bad_instruction},
    {"wild-write", emulated_wild_write},
    {"stack-overflow", emulated_overflow_stack},
    {"lock-up", emulated_lock_up},
};

int main(void) {
    char line[64];
    if (!emulated_command_line(line, sizeof line)) {
        emulated_exit(FAILED);
    }
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(line, actions[i].name) == 0) {
            actions[i].run();
            emulated_exit(SURVIVED);
        }
    }
    emulated_exit(FAILED);
}
