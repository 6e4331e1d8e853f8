#include "line_espidf.h"

#include <driver/uart.h>
#include <esp_log.h>
#include <freertos/FreeRTOS.h>
#include <freertos/queue.h>
#include <sdkconfig.h>
#include <stdio.h>
#include <string.h>

#include "tml.h"

#define UART CONFIG_ESP_CONSOLE_UART_NUM
#define SLACK_BYTES 256 /* of the ring, beside the window: zeros and commands */
#define EVENTS 32
#define RX_FULL 64 /* of the FIFO's 128 bytes: at 921,600 baud the interrupt may be 0.7 ms late */
#define LINES 8
#define LINE_BYTES 128

static QueueHandle_t events;
static QueueHandle_t lines;
static uint64_t overruns;
static bool (*inner_stat)(void *context, tml_stat key, uint64_t *value);

void espidf_line_init(size_t window) {
    ESP_ERROR_CHECK(uart_driver_install(UART, (int)(window + SLACK_BYTES), 0, EVENTS, &events, 0));
    ESP_ERROR_CHECK(uart_set_rx_full_threshold(UART, RX_FULL));
    lines = xQueueCreate(LINES, LINE_BYTES);
    configASSERT(lines != NULL);
}

/* ---- bytes ---- */

/* A full ring is none yet: the driver goes on when there is room. A full FIFO is. */
static bool lost_bytes(void) {
    uart_event_t event;
    bool lost = false;
    while (xQueueReceive(events, &event, 0) == pdTRUE) {
        lost = lost || event.type == UART_FIFO_OVF;
    }
    return lost;
}

static int32_t line_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    size_t waiting = 0;
    int got = 0;
    (void)context;
    if (lost_bytes()) {
        overruns++;
        return TML_ERR_OVERRUN;
    }
    ESP_ERROR_CHECK(uart_get_buffered_data_len(UART, &waiting));
    if (waiting == 0 && timeout_ms != 0) {
        /* The driver waits for as many bytes as it is asked for: for the first alone, then for none. */
        got = uart_read_bytes(UART, data, 1, pdMS_TO_TICKS(timeout_ms));
        if (got <= 0) {
            return 0;
        }
        ESP_ERROR_CHECK(uart_get_buffered_data_len(UART, &waiting));
    }
    const size_t room = capacity - (size_t)got;
    const size_t more = waiting < room ? waiting : room;
    const int rest = more == 0 ? 0 : uart_read_bytes(UART, data + got, (uint32_t)more, 0);
    return got + (rest < 0 ? 0 : rest);
}

static int line_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    return uart_write_bytes(UART, data, size) == (int)size ? TML_OK : TML_ERR_IO;
}

static bool line_stat(void *context, tml_stat key, uint64_t *value) {
    if (key == TML_STAT_RX_OVERRUNS) {
        *value = overruns;
        return true;
    }
    return inner_stat(context, key, value);
}

void espidf_line_port(tml_port *port) {
    inner_stat = port->stat;
    port->read = line_read;
    port->write = line_write;
    port->stat = line_stat;
}

/* ---- what is logged ---- */

/* Called in whatever task logs; lines that come too fast are lost. */
static int keep_line(const char *format, va_list arguments) {
    char line[LINE_BYTES];
    const int size = vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] != '\0') {
        (void)xQueueSend(lines, line, 0);
    }
    return size;
}

void espidf_line_heard(void *context) {
    (void)context;
    (void)esp_log_set_vprintf(keep_line);
}

bool espidf_line_logged(void *context, char *line, size_t capacity) {
    char kept[LINE_BYTES];
    (void)context;
    if (xQueueReceive(lines, kept, 0) != pdTRUE) {
        return false;
    }
    const size_t size = strnlen(kept, capacity - 1);
    memcpy(line, kept, size);
    line[size] = '\0';
    return true;
}
