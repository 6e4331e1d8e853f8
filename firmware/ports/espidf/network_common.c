#include <esp_bit_defs.h>
#include <esp_event.h>
#include <esp_netif.h>
#include <freertos/FreeRTOS.h>
#include <freertos/event_groups.h>
#include <nvs_flash.h>
#include <stddef.h>

#include "network_espidf.h"
#include "port_espidf.h"

#define JOIN_MS 20000U
#define SLICE_MS 200U /* between feedings of the watchdog */
#define UP BIT0
#define ADDRESS_SIZE 16 /* of an IPv4 address in dots, with its end */

static EventGroupHandle_t state;
static esp_ip4_addr_t address;

static void on_address(void *context, esp_event_base_t base, int32_t id, void *data) {
    const ip_event_got_ip_t *event = data;
    (void)context;
    (void)base;
    (void)id;
    address = event->ip_info.ip;
    xEventGroupSetBits(state, UP);
}

void espidf_network_prepare(void) {
    esp_err_t status = nvs_flash_init();
    if (status == ESP_ERR_NVS_NO_FREE_PAGES || status == ESP_ERR_NVS_NEW_VERSION_FOUND) {
        ESP_ERROR_CHECK(nvs_flash_erase());
        status = nvs_flash_init();
    }
    ESP_ERROR_CHECK(status);
    state = xEventGroupCreate();
    configASSERT(state != NULL);
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(esp_event_handler_register(IP_EVENT, IP_EVENT_STA_GOT_IP, on_address, NULL));
    ESP_ERROR_CHECK(esp_event_handler_register(IP_EVENT, IP_EVENT_ETH_GOT_IP, on_address, NULL));
}

void espidf_network_lost(void) {
    xEventGroupClearBits(state, UP);
}

bool espidf_network(void *context, tml_text *text) {
    char dotted[ADDRESS_SIZE];
    (void)context;
    if ((xEventGroupGetBits(state) & UP) == 0) {
        return false;
    }
    tml_text_add(text, esp_ip4addr_ntoa(&address, dotted, sizeof dotted));
    return true;
}

bool espidf_network_wait(tml_text *answer, const char *(*why)(void)) {
    for (uint32_t waited = 0; waited < JOIN_MS; waited += SLICE_MS) {
        (void)xEventGroupWaitBits(state, UP, pdFALSE, pdTRUE, pdMS_TO_TICKS(SLICE_MS));
        if (espidf_network(NULL, answer)) {
            return true;
        }
        espidf_watchdog_feed(NULL);
    }
    tml_text_add(answer, why());
    return false;
}
