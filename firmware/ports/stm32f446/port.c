/* The table of operations: an STM32F446 with its line at USART2. */
#include <string.h>

#include "clocks.h"
#include "cortex_m4.h"
#include "machine.h"
#include "port_stm32f446.h"
#include "serial.h"
#include "stm32f446.h"
#include "tree.h"
#include "usart.h"

#ifndef TML_BAUD
#error "TML_BAUD must be the baud rate of the line"
#endif

/* RM0390, section 25.4.5: how far BRR may be from the baud rate that the other side has; it has its own error too. */
#define USART_HZ 45000000U
#define BRR ((USART_HZ + TML_BAUD / 2U) / TML_BAUD)
_Static_assert(BRR >= 16U, "the USART samples a bit 16 times");
_Static_assert(USART_HZ / BRR * 100U <= TML_BAUD * 102U && USART_HZ / BRR * 100U >= TML_BAUD * 98U,
               "no divisor is within 2 % of this baud rate");

#define NO_DEVICE_ID 0U
#define QEMU_TIMER_HZ 1000000000U
#define LOG_BYTES 320U /* a fault's description, and a frame around it */

typedef struct {
    stm32_clocks clocks;
} stm32_line;

/* Outlives a restart: how many faults there were since the power came, and the complement, which tells it from what a
 * RAM holds by chance. */
__attribute__((section(".bss.keep"))) static struct {
    uint32_t faults, complement;
} survived;

static uint32_t faults_survived(void) {
    return survived.faults == ~survived.complement ? survived.faults : 0;
}

static uint64_t count_cycles(void *context) {
    (void)context;
    return DWT_CYCCNT;
}

static uint64_t count_time(void *context) {
    (void)context;
    return clocks_timer();
}

static uint32_t port_uptime_ms(void *context) {
    stm32_line *line = context;
    return clocks_uptime_ms(&line->clocks);
}

static int32_t port_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    stm32_line *line = context;
    return serial_read(&line->clocks, data, capacity, timeout_ms);
}

static int port_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    return serial_write(data, size);
}

static void port_log(void *context, const char *text) {
    (void)context;
    machine_console(text);
}

static void port_restart(void *context) {
    (void)context;
    (void)usart_flush();
    machine_restart();
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    (void)context;
    switch (key) {
    case TML_STAT_RX_OVERRUNS:
        *value = usart_losses();
        return true;
    case TML_STAT_LEAST_FREE_STACK:
        *value = machine_least_free_stack();
        return true;
    case TML_STAT_FAULTS:
        *value = faults_survived();
        return true;
    default:
        return false; /* there is no heap */
    }
}

/* The board has one line: what a person shall read is a frame on it, behind a delimiter that ends what was under way.
 */
void machine_console(const char *text) {
    static const uint8_t delimiter = 0;
    static uint8_t frame[LOG_BYTES];
    const size_t size = tml_text_size(text, tml_payload_capacity(sizeof frame));
    memcpy(frame + tml_payload_offset(sizeof frame), text, size);
    (void)serial_write(&delimiter, 1);
    (void)serial_write(frame, tml_frame_encode(frame, sizeof frame, TML_LOG, 0, size));
}

void machine_after_fault(void) {
    survived.faults = faults_survived() + 1U;
    survived.complement = ~survived.faults;
    (void)usart_flush();
    machine_restart();
}

static bool cycles_are_counted(void) {
    DEBUG_DEMCR |= DEBUG_DEMCR_TRCENA;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop");
    return DWT_CYCCNT != before;
}

/* Which part it is; QEMU 7.2, which stands in for one, has no such register, no cycle counter and no clock tree, and
 * its timers count nanoseconds (ports/qemu_stm32f405/port.c). */
static uint32_t device_id(void) {
    return STM32_DBGMCU_IDCODE & STM32_DBGMCU_IDCODE_DEV_ID;
}

static const char *chip_name(void) {
    switch (device_id()) {
    case STM32_DEV_ID_F446:
        return "STM32F446";
    case NO_DEVICE_ID:
        return "Cortex-M4, emulated by QEMU";
    default:
        return "not an STM32F446";
    }
}

void stm32f446_port_init(tml_port *port) {
    static stm32_line line;
    /* Else a probe loses the processor whenever it waits for the line: RM0390, section 33.16.1. */
    STM32_DBGMCU_CR |= STM32_DBGMCU_CR_SLEEP;
    tree_clocks tree = tree_start();
    if (device_id() == NO_DEVICE_ID) {
        tree.timer_hz = QEMU_TIMER_HZ;
    }
    clocks_start(&line.clocks, tree.cpu_hz, tree.timer_hz);
    usart_open(tree.apb1_hz, TML_BAUD);
#if defined(TML_COUNT_CYCLES)
    const bool cycles = cycles_are_counted();
#else
    const bool cycles = false;
#endif
    *port = (tml_port){
        .context = &line,
        .read = port_read,
        .write = port_write,
        .ticks = cycles ? count_cycles : count_time,
        .uptime_ms = port_uptime_ms,
        .log = port_log,
        .restart = port_restart,
        .stat = port_stat,
        .chip = chip_name(),
        .clock = cycles ? TML_CLOCK_CYCLES : TML_CLOCK_WALL,
        .tick_hz = cycles ? tree.cpu_hz : tree.timer_hz,
        .tick_mask = UINT32_MAX,
        .flash_bytes = (uint32_t)(uintptr_t)link_flash_bytes,
        .ram_bytes = (uint32_t)(uintptr_t)link_ram_bytes,
    };
    if (tree.source == TREE_HSI) {
        machine_console("the PLL does not start: the processor runs at 16 MHz instead of 180");
    } else if (tree.source == TREE_HSI_PLL) {
        machine_console("no clock from the ST-LINK: the processor runs by its own oscillator, which is good to 1 %");
    }
}
