/* The task that serves and computes, and its watchdog. */
#include <esp_task_wdt.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <stdio.h>

#include "port_espidf.h"

#define STACK_BYTES (16U * 1024U)
#define PRIORITY 5 /* above idle, below Wi-Fi and lwIP */
#define CORE (portNUM_PROCESSORS - 1)

void *espidf_need(const char *what, void *block) {
    if (block == NULL) {
        printf("tinyml: note no memory for %s\n", what);
        fflush(stdout);
        configASSERT(block != NULL); /* a panic, which is reported, rather than a board that does nothing */
    }
    return block;
}

void espidf_start(void (*serve)(void *unused)) {
    if (xTaskCreatePinnedToCore(serve, "tinyml", STACK_BYTES, NULL, PRIORITY, NULL, CORE) != pdPASS) {
        (void)espidf_need("the task", NULL);
    }
}

void espidf_watchdog_init(void) {
    ESP_ERROR_CHECK(esp_task_wdt_add(NULL));
}

void espidf_watchdog_feed(void *context) {
    (void)context;
    (void)esp_task_wdt_reset();
}
