/* The OpenCores Ethernet that Espressif's QEMU emulates; its user-mode network gives an address by DHCP. */
#include <esp_eth.h>
#include <esp_event.h>
#include <esp_idf_version.h>
#include <esp_netif.h>
#include <freertos/FreeRTOS.h>

#include "network_espidf.h"

static void on_eth(void *context, esp_event_base_t base, int32_t id, void *data) {
    (void)context;
    (void)base;
    (void)data;
    if (id == ETHERNET_EVENT_DISCONNECTED) {
        espidf_network_lost();
    }
}

static const char *why(void) {
    return "no address came within 20 s";
}

/* There is nothing to join: a cable is plugged in. */
bool espidf_network_join(void *context, const char *ssid, const char *password, tml_text *answer) {
    (void)context;
    (void)ssid;
    (void)password;
    return espidf_network_wait(answer, why);
}

bool espidf_network_save(void *context, tml_text *answer) {
    (void)context;
    tml_text_add(answer, "a wired board has nothing to save");
    return false;
}

bool espidf_network_forget(void *context, tml_text *answer) {
    return espidf_network_save(context, answer);
}

void espidf_network_init(void) {
    const esp_netif_config_t netif_config = ESP_NETIF_DEFAULT_ETH();
    const eth_mac_config_t mac_config = ETH_MAC_DEFAULT_CONFIG();
    eth_phy_config_t phy_config = ETH_PHY_DEFAULT_CONFIG();
    phy_config.autonego_timeout_ms = 100; /* the emulated one answers at once, or never */
    espidf_network_prepare();
    esp_eth_mac_t *mac = esp_eth_mac_new_openeth(&mac_config);
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(6, 0, 0)
    esp_eth_phy_t *phy = esp_eth_phy_new_generic(&phy_config);
#else
    esp_eth_phy_t *phy = esp_eth_phy_new_dp83848(&phy_config);
#endif
    configASSERT(mac != NULL && phy != NULL);
    const esp_eth_config_t config = ETH_DEFAULT_CONFIG(mac, phy);
    esp_eth_handle_t driver = NULL;
    esp_netif_t *netif = esp_netif_new(&netif_config);
    configASSERT(netif != NULL);
    ESP_ERROR_CHECK(esp_eth_driver_install(&config, &driver));
    ESP_ERROR_CHECK(esp_netif_attach(netif, esp_eth_new_netif_glue(driver)));
    ESP_ERROR_CHECK(esp_event_handler_register(ETH_EVENT, ESP_EVENT_ANY_ID, on_eth, NULL));
    ESP_ERROR_CHECK(esp_eth_start(driver));
}
