/* The 16550 of QEMU's FPGA boards (-M kc705-nommu): hw/xtensa/xtfpga.c, hw/char/serial.c; registers: National
 * Semiconductor, PC16550D data sheet. QEMU takes bytes from the host only while the receive FIFO has room for them. */
#include "tml.h"
#include "xtensa.h"

typedef struct {
    volatile uint32_t data;
    volatile uint32_t interrupt_enable;
    volatile uint32_t fifo_control;
    volatile uint32_t line_control;
    volatile uint32_t modem_control;
    volatile uint32_t line_status;
} uart_registers;

#define UART ((uart_registers *)UINT32_C(0x9D050020))

#define IER_RECEIVED 0x01U
#define FCR_ON 0xC7U /* FIFOs on and emptied, interrupt at 14 bytes or after a pause */
#define LCR_8N1 0x03U
#define LCR_DIVISOR 0x80U
#define LSR_DATA_READY 0x01U
#define LSR_OVERRUN 0x02U
#define LSR_TRANSMITTER_EMPTY 0x20U
#define FIFO_BYTES 16U
#define POLL_US 20U
#define WRITE_TIMEOUT_MS 30000U /* a host that takes nothing for so long is gone */

static struct {
    uint8_t ring[UART_RING];
    volatile uint32_t head; /* bytes put in, ever */
    volatile uint32_t tail; /* bytes taken out, ever */
    volatile bool overrun;  /* not yet reported */
    volatile uint32_t overruns;
    bool interrupts;
} uart;

void xt_uart_interrupt(void) {
    uint32_t status;
    while (((status = UART->line_status) & (LSR_DATA_READY | LSR_OVERRUN)) != 0) {
        bool lost = (status & LSR_OVERRUN) != 0;
        if ((status & LSR_DATA_READY) != 0) {
            uint8_t byte = (uint8_t)UART->data;
            if (uart.head - uart.tail == UART_RING) {
                lost = true;
            } else {
                uart.ring[uart.head % UART_RING] = byte;
                uart.head++;
            }
        }
        if (lost) {
            uart.overrun = true;
            uart.overruns++;
        }
    }
}

void uart_open(bool interrupts) {
    UART->interrupt_enable = 0;
    UART->line_control = LCR_DIVISOR | LCR_8N1;
    UART->data = 1; /* 115,200 baud: QEMU only derives the length of a pause from it */
    UART->interrupt_enable = 0;
    UART->line_control = LCR_8N1;
    xt_uart_interrupt(); /* a byte may have come: switching the FIFOs on would throw it away */
    UART->fifo_control = FCR_ON;
    UART->modem_control = 0x0B; /* ready, and interrupts to the processor */
    uart.interrupts = interrupts;
    if (interrupts) {
        UART->interrupt_enable = IER_RECEIVED;
        XT_WRITE(intenable, XT_INTERRUPT_TIMER | XT_INTERRUPT_UART);
    }
}

static uint32_t mask_interrupts(void) {
    uint32_t ps;
    __asm__ volatile("rsil %0, 1" : "=r"(ps)::"memory");
    return ps;
}

static bool something_came(void) {
    return uart.head != uart.tail || uart.overrun;
}

/* With -icount time stands still while the processor sleeps, so the sleeps are what is counted. Without them the
 * processor would keep QEMU from putting bytes into the FIFO: both need the same lock. */
static bool poll_for_bytes(uint32_t timeout_ms) {
    uint32_t turns = 0;
    for (;;) {
        xt_uart_interrupt();
        if (something_came() || turns / (1000U / POLL_US) >= timeout_ms) {
            return something_came();
        }
        sim_sleep_us(POLL_US);
        turns++;
    }
}

static bool wait_for_bytes(uint32_t timeout_ms) {
    uint32_t start = clock_uptime_ms();
    for (;;) {
        uint32_t ps = mask_interrupts();
        uint32_t waited = clock_uptime_ms() - start;
        if (something_came() || waited >= timeout_ms) {
            XT_WRITE(ps, ps);
            return something_came();
        }
        clock_sleep(timeout_ms - waited);
    }
}

int32_t uart_read(uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    if (!(uart.interrupts ? wait_for_bytes(timeout_ms) : poll_for_bytes(timeout_ms))) {
        return 0;
    }
    uint32_t size = uart.head - uart.tail;
    if (size == 0) {
        uart.overrun = false;
        return TML_ERR_OVERRUN;
    }
    if (size > capacity) {
        size = (uint32_t)capacity;
    }
    uint32_t tail = uart.tail;
    for (uint32_t i = 0; i < size; i++) {
        data[i] = uart.ring[(tail + i) % UART_RING];
    }
    uart.tail = tail + size;
    return (int32_t)size;
}

int uart_write(const uint8_t *data, size_t size) {
    while (size != 0) {
        if ((UART->line_status & LSR_TRANSMITTER_EMPTY) == 0) {
            uint32_t start = clock_uptime_ms();
            while ((UART->line_status & LSR_TRANSMITTER_EMPTY) == 0) {
                if (clock_uptime_ms() - start > WRITE_TIMEOUT_MS) {
                    return TML_ERR_IO;
                }
            }
        }
        for (size_t i = 0; i < FIFO_BYTES && size != 0; i++) {
            UART->data = *data++;
            size--;
        }
    }
    return TML_OK;
}

uint64_t uart_overruns(void) {
    return uart.overruns;
}
