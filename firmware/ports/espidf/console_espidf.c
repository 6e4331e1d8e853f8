/* The console's UART, of boards whose link is another. */
#include <driver/uart.h>
#include <sdkconfig.h>
#include <stdio.h>

#include "console_espidf.h"

#define RX_BYTES 2048 /* four of the longest lines: nobody reads while an inference runs */

void espidf_console_init(void) {
    ESP_ERROR_CHECK(uart_driver_install(CONFIG_ESP_CONSOLE_UART_NUM, RX_BYTES, 0, 0, NULL, 0));
}

int32_t espidf_console_read(void *context, uint8_t *data, size_t capacity) {
    (void)context;
    const int got = uart_read_bytes(CONFIG_ESP_CONSOLE_UART_NUM, data, (uint32_t)capacity, 0);
    return got < 0 ? 0 : got; /* a UART is never gone */
}

void espidf_console_write(void *context, const char *data, size_t size) {
    (void)context;
    flockfile(stdout);
    (void)fwrite(data, 1, size, stdout);
    (void)fflush(stdout);
    funlockfile(stdout);
}
