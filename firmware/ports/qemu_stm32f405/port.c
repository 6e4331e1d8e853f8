/* The table of operations: the STM32F405 that QEMU 7.2 emulates as -M netduinoplus2. */
#include "clocks.h"
#include "emulated.h"
#include "machine.h"
#include "semihosting.h"
#include "serial.h"
#include "usart.h"

#define APB2_HZ 84000000U
#define BAUD 115200U /* for the register's sake: QEMU sends as fast as the other side reads */
#define CPU_HZ 168000000U

/* QEMU lets TIM2 to TIM5 count nanoseconds of virtual time, divided by the prescaler (hw/timer/stm32f2xx_timer.c,
 * clock-frequency). With -icount shift=0 an instruction takes one nanosecond: TIM2 counts instructions, one by one, and
 * an inference takes the same number each time. SysTick would not do: it counts one in six, has 24 bits, and needs an
 * interrupt, whose instructions would be counted too. DWT's cycle counter reads 0. */
#define TICK_HZ 1000000000U
#define EXIT_FAULT 3

typedef struct {
    stm32_clocks clocks;
    int32_t in, out;
    bool serial;
} stm32_line;

static uint64_t port_ticks(void *context) {
    (void)context;
    return clocks_timer();
}

static uint32_t port_uptime_ms(void *context) {
    stm32_line *line = context;
    return clocks_uptime_ms(&line->clocks);
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

static int32_t usart_line_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    stm32_line *line = context;
    return serial_read(&line->clocks, data, capacity, timeout_ms);
}

static int usart_line_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    return serial_write(data, size);
}

/* ---- the rest ---- */

static void port_log(void *context, const char *text) {
    (void)context;
    emulated_console(text);
}

static void port_restart(void *context) {
    (void)context;
    machine_restart();
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    const stm32_line *line = context;
    if (key == TML_STAT_RX_OVERRUNS) {
        *value = line->serial ? usart_losses() : 0; /* a full pipe makes the host wait instead */
        return true;
    }
    if (key == TML_STAT_LEAST_FREE_STACK) {
        *value = machine_least_free_stack();
        return true;
    }
    return false; /* no heap; and a fault ends the emulator, and with it the count */
}

int emulated_port_init(tml_port *port, const emulated_options *options) {
    static stm32_line line;
    line.serial = options->serial;
    clocks_start(&line.clocks, CPU_HZ, TICK_HZ);
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
        .read = options->serial ? usart_line_read : bulk_read,
        .write = options->serial ? usart_line_write : bulk_write,
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

/* ---- what the shared files and the application ask of each other ---- */

void machine_console(const char *text) {
    emulated_console(text);
}

void machine_after_fault(void) {
    emulated_exit(EXIT_FAULT);
}

void emulated_report_faults(const tml_session *session) {
    machine_report_faults(session);
}

void emulated_bad_instruction(void) {
    machine_bad_instruction();
}

void emulated_wild_write(void) {
    machine_wild_write();
}

void emulated_overflow_stack(void) {
    machine_overflow_stack();
}

void emulated_lock_up(void) {
    machine_lock_up();
}
