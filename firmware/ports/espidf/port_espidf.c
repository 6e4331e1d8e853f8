#include "port_espidf.h"

#include <esp_attr.h>
#include <esp_cpu.h>
#include <esp_heap_caps.h>
#include <esp_image_format.h>
#include <esp_mac.h>
#include <esp_ota_ops.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <sdkconfig.h>
#include <stdio.h>
#include <string.h>

#define DRAIN_MS 100U /* for the last line before a restart */

static uint64_t wall_ticks(void *context) {
    (void)context;
    return (uint64_t)esp_timer_get_time();
}

static uint64_t cycle_ticks(void *context) {
    (void)context;
    return esp_cpu_get_cycle_count();
}

static uint32_t port_uptime_ms(void *context) {
    (void)context;
    return (uint32_t)(esp_timer_get_time() / 1000);
}

static void port_log(void *context, const char *text) {
    (void)context;
    printf("%s\n", text);
}

static void port_restart(void *context) {
    (void)context;
    fflush(stdout);
    vTaskDelay(pdMS_TO_TICKS(DRAIN_MS));
    esp_restart();
}

/* ---- faults: what survives a restart, but not a power cycle ---- */

#define KEPT_MAGIC 0x746D6C31U

static RTC_NOINIT_ATTR struct {
    uint32_t magic;
    uint32_t faults;
} kept;

static const char *fault_text(esp_reset_reason_t reason) {
    switch (reason) {
    case ESP_RST_PANIC:
        return "after a panic";
    case ESP_RST_INT_WDT:
        return "by the interrupt watchdog";
    case ESP_RST_TASK_WDT:
        return "by the task watchdog";
    case ESP_RST_WDT:
        return "by a watchdog";
    case ESP_RST_BROWNOUT:
        return "after a brown-out: the supply's voltage fell too low";
    default:
        return NULL;
    }
}

void espidf_note_restart(void) {
    const esp_reset_reason_t reason = esp_reset_reason();
    const char *fault = fault_text(reason);
    if (reason == ESP_RST_POWERON || kept.magic != KEPT_MAGIC) {
        kept.magic = KEPT_MAGIC;
        kept.faults = 0;
    }
    if (fault != NULL) {
        kept.faults++;
        printf("tinyml: note restarted %s\n", fault);
    }
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    (void)context;
    switch (key) {
    case TML_STAT_RX_OVERRUNS:
        *value = 0; /* TCP makes the sender wait instead */
        return true;
    case TML_STAT_LEAST_FREE_STACK:
        *value = uxTaskGetStackHighWaterMark(NULL); /* bytes, in ESP-IDF */
        return true;
    case TML_STAT_LEAST_FREE_HEAP:
        /* Internal RAM: what runs out first, and what Wi-Fi needs. */
        *value = heap_caps_get_minimum_free_size(MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT);
        return true;
    case TML_STAT_FAULTS:
        *value = kept.faults;
        return true;
    default:
        return false;
    }
}

/* ---- sizes ---- */

static uint32_t image_bytes(void) {
    const esp_partition_t *partition = esp_ota_get_running_partition();
    esp_image_metadata_t image;
    if (partition == NULL) {
        return 0;
    }
    const esp_partition_pos_t place = {.offset = partition->address, .size = partition->size};
    return esp_image_get_metadata(&place, &image) == ESP_OK ? image.image_len : 0;
}

/* Of ESP-IDF's linker script. */
extern uint8_t _data_start, _data_end, _bss_start, _bss_end;

static uint32_t static_ram_bytes(void) {
    return (uint32_t)(&_data_end - &_data_start) + (uint32_t)(&_bss_end - &_bss_start);
}

void espidf_port_init(tml_port *port, const char *board, bool cycles) {
    *port = (tml_port){
        .ticks = cycles ? cycle_ticks : wall_ticks,
        .uptime_ms = port_uptime_ms,
        .log = port_log,
        .restart = port_restart,
        .stat = port_stat,
        .board = board,
        .chip = CONFIG_IDF_TARGET,
        .clock = cycles ? TML_CLOCK_CYCLES : TML_CLOCK_WALL,
        .tick_hz = cycles ? CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ * 1000000U : 1000000U,
        .tick_mask = cycles ? UINT32_MAX : INT64_MAX,
        .flash_bytes = image_bytes(),
        .ram_bytes = static_ram_bytes(),
    };
}

void espidf_mac(char text[13]) {
    uint8_t mac[6] = {0};
    ESP_ERROR_CHECK(esp_efuse_mac_get_default(mac));
    for (size_t i = 0; i < sizeof mac; i++) {
        text[2 * i] = "0123456789abcdef"[mac[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[mac[i] & 15];
    }
    text[12] = '\0';
}
