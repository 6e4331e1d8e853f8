#include "serial.h"

#include "cortex_m4.h"
#include "tml.h"
#include "usart.h"

/* Sleeps until the next interrupt, but not if the one that is waited for has been. With interrupts masked WFI still
 * ends when one is pending (ARMv7-M ARM, B1.5.19). */
static void sleep_while_empty(void) {
    __asm__ volatile("cpsid i" ::: "memory");
    if (usart_empty()) {
        __asm__ volatile("wfi" ::: "memory");
    }
    __asm__ volatile("cpsie i" ::: "memory");
}

int32_t serial_read(stm32_clocks *clocks, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    if (usart_lost()) {
        return TML_ERR_OVERRUN;
    }
    if (usart_empty() && timeout_ms != 0) {
        const uint32_t start = clocks_uptime_ms(clocks);
        /* Wakes the processor each millisecond, and runs only here: no inference is counted with it. */
        SYSTICK_LOAD = clocks->cpu_hz / 1000U - 1U;
        SYSTICK_VALUE = 0;
        SYSTICK_CTRL = SYSTICK_CTRL_RUN;
        while (usart_empty() && clocks_uptime_ms(clocks) - start < timeout_ms) {
            sleep_while_empty();
        }
        SYSTICK_CTRL = 0;
    }
    return (int32_t)usart_take(data, capacity);
}

int serial_write(const uint8_t *data, size_t size) {
    return usart_send(data, size) ? TML_OK : TML_ERR_IO;
}
