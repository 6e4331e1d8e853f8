/* The table of operations: the STM32F405 that QEMU 7.2 emulates as -M netduinoplus2. */
#include <string.h>

#include "cortex_m4.h"
#include "emulated.h"
#include "machine.h"
#include "semihosting.h"
#include "stm32f4.h"
#include "usart.h"

#define APB2_HZ 84000000U
#define BAUD 115200U /* for the register's sake: QEMU sends as fast as the other side reads */
#define CPU_HZ 168000000U

/* Clocks. QEMU lets TIM2 to TIM5 count nanoseconds of virtual time, divided by the prescaler (hw/timer/
 * stm32f2xx_timer.c, clock-frequency). With -icount shift=0 an instruction takes one nanosecond: TIM2 counts
 * instructions, one by one, and an inference takes the same number each time. SysTick would not do: it counts one in
 * six, has 24 bits, and needs an interrupt, whose instructions would be counted too. DWT's cycle counter reads 0.
 * The uptime has a timer of its own, because nanoseconds in 32 bits are over after 4 s, in which nobody may have
 * asked; no interrupt disturbs the count, and a millisecond costs one load and one division by a constant. */
#define TICK_HZ 1000000000U
#define UPTIME_PRESCALER 50000U
#define UPTIME_PER_MS (TICK_HZ / UPTIME_PRESCALER / 1000U)

typedef struct {
    int32_t in, out;
    bool serial;
    uint32_t uptime_ms;
    uint32_t uptime_count; /* TIM5, at that millisecond's begin */
} stm32_line;

static uint64_t port_ticks(void *context) {
    (void)context;
    return STM32_TIM2->cnt;
}

static uint32_t port_uptime_ms(void *context) {
    stm32_line *line = context;
    const uint32_t passed = (STM32_TIM5->cnt - line->uptime_count) / UPTIME_PER_MS;
    line->uptime_count += passed * UPTIME_PER_MS; /* 32 bits are over after two days without a question */
    line->uptime_ms += passed;
    return line->uptime_ms;
}

static void start_clocks(stm32_line *line) {
    STM32_RCC_APB1ENR |= STM32_APB1_TIM2 | STM32_APB1_TIM5;
    STM32_TIM2->cr1 = STM32_TIM_CR1_CEN;
    STM32_TIM5->psc = UPTIME_PRESCALER - 1U;
    STM32_TIM5->egr = STM32_TIM_EGR_UG; /* RM0090, 18.4.11: the prescaler takes effect at an update */
    STM32_TIM5->cr1 = STM32_TIM_CR1_CEN;
    line->uptime_count = STM32_TIM5->cnt;
}

/* ---- the line ---- */

/* Semihosting can only wait: the whole emulator stands still until there is a byte. For a caller that can wait that is
 * what it wants, and as the host always sends whole frames, nothing else gets late. A caller that cannot wait (to see
 * whether the host begins anew while a batch is computed) is told that there is nothing: the host restarts an emulator
 * that it is tired of. */
static int32_t bulk_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    const stm32_line *line = context;
    if (timeout_ms == 0 || capacity == 0) {
        return 0;
    }
    const size_t got = semihosting_read(line->in, data, capacity);
    return got != 0 ? (int32_t)got : TML_ERR_CLOSED;
}

/* A full pipe makes the emulator wait; the host's time limit ends that. QEMU 7.2 does not say why a write failed (its
 * SYS_ERRNO stays 0), but with a pipe there is one reason: nobody can read it any more. */
static int bulk_write(void *context, const uint8_t *data, size_t size) {
    const stm32_line *line = context;
    while (size != 0) {
        const size_t sent = semihosting_write(line->out, data, size);
        if (sent == 0) {
            return TML_ERR_CLOSED;
        }
        data += sent;
        size -= sent;
    }
    return TML_OK;
}

/* Sleeps until the next interrupt, but not if the one that is waited for has been. With interrupts masked WFI still
 * ends when one is pending (ARMv7-M ARM, B1.5.19). */
static void sleep_while_empty(void) {
    __asm__ volatile("cpsid i" ::: "memory");
    if (usart_empty()) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("cpsie i" ::: "memory");
}

static int32_t serial_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    if (usart_lost()) {
        return TML_ERR_OVERRUN;
    }
    if (usart_empty() && timeout_ms != 0) {
        const uint32_t start = port_uptime_ms(context);
        /* Wakes the processor each millisecond, and runs only here: no inference is counted with it. */
        SYSTICK_LOAD = CPU_HZ / 1000U - 1U;
        SYSTICK_VALUE = 0;
        SYSTICK_CTRL = SYSTICK_CTRL_RUN;
        while (usart_empty() && port_uptime_ms(context) - start < timeout_ms) {
            sleep_while_empty();
        }
        SYSTICK_CTRL = 0;
    }
    return (int32_t)usart_take(data, capacity);
}

void machine_systick(void) {}

static int serial_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    return usart_send(data, size) ? TML_OK : TML_ERR_IO;
}

/* ---- the rest ---- */

static void port_log(void *context, const char *text) {
    (void)context;
    emulated_console(text);
}

static void port_restart(void *context) {
    (void)context;
    SCB_AIRCR = SCB_AIRCR_RESET;
    for (;;) { /* the reset comes when the emulator gets to it */
    }
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    const stm32_line *line = context;
    if (key == TML_STAT_RX_OVERRUNS) {
        *value = line->serial ? usart_losses() : 0; /* a full pipe makes the host wait instead */
        return true;
    }
    if (key == TML_STAT_LEAST_FREE_STACK) {
        const uint32_t *at = (const uint32_t *)(const void *)link_stack_bottom;
        while (*at == STACK_PAINT) {
            at++;
        }
        *value = (uintptr_t)at - (uintptr_t)link_stack_bottom;
        return true;
    }
    return false; /* no heap; and a fault ends the emulator, and with it the count */
}

int emulated_port_init(tml_port *port, const emulated_options *options) {
    static stm32_line line;
    line.serial = options->serial;
    start_clocks(&line);
    if (options->serial) {
        usart_open(APB2_HZ, BAUD);
    } else {
        line.in = semihosting_open(options->in, SEMIHOSTING_READ);
        line.out = semihosting_open(options->out, SEMIHOSTING_WRITE);
        if (line.in < 0 || line.out < 0) {
            return TML_ERR_IO;
        }
    }
    *port = (tml_port){
        .context = &line,
        .read = options->serial ? serial_read : bulk_read,
        .write = options->serial ? serial_write : bulk_write,
        .ticks = port_ticks,
        .uptime_ms = port_uptime_ms,
        .log = port_log,
        .restart = port_restart,
        .stat = port_stat,
        .board = "qemu-stm32f405",
        .chip = "STM32F405, emulated by QEMU",
        .clock = options->instructions ? TML_CLOCK_INSTRUCTIONS : TML_CLOCK_WALL,
        .tick_hz = options->instructions ? 0 : TICK_HZ,
        .tick_mask = UINT32_MAX,
        .flash_bytes = (uint32_t)(uintptr_t)link_flash_bytes,
        .ram_bytes = (uint32_t)(uintptr_t)link_ram_bytes,
    };
    return TML_OK;
}

bool emulated_command_line(char *text, size_t capacity) {
    /* With -kernel and no arg=, QEMU hands over the image's path in their place; it contains none of our words. */
    return semihosting_command_line(text, capacity) && text[0] != '\0';
}

void emulated_console(const char *text) {
    semihosting_print(text);
    semihosting_print("\n");
}

void emulated_exit(int status) {
    semihosting_exit(status);
}
