/* A Wi-Fi station. SSID and password live in the driver's RAM and, after `save`, in NVS; they are in no log. */
#include <esp_event.h>
#include <esp_timer.h>
#include <esp_wifi.h>
#include <nvs.h>
#include <stdatomic.h>
#include <string.h>

#include "network_espidf.h"
#include "tml_console.h"

#define PLACE "tinyml"
#define RETRY_US 1000000U

static esp_timer_handle_t retry;
static atomic_bool wanted; /* a network has been named */
static atomic_int last_reason;

static void try_again(void *context) {
    (void)context;
    if (wanted) {
        (void)esp_wifi_connect(); /* what it says now comes as an event too */
    }
}

static void on_wifi(void *context, esp_event_base_t base, int32_t id, void *data) {
    (void)context;
    (void)base;
    if (id == WIFI_EVENT_STA_DISCONNECTED) {
        const wifi_event_sta_disconnected_t *event = data;
        last_reason = event->reason;
        espidf_network_lost();
        /* Fails while the timer runs already, which is as good. */
        (void)esp_timer_start_once(retry, RETRY_US);
    }
}

static const char *why(void) {
    switch (last_reason) {
    case 0:
        return "joined, but no address came within 20 s";
    case WIFI_REASON_NO_AP_FOUND:
        return "no such network in reach (2.4 GHz only)";
    case WIFI_REASON_AUTH_FAIL:
    case WIFI_REASON_HANDSHAKE_TIMEOUT:
    case WIFI_REASON_4WAY_HANDSHAKE_TIMEOUT:
        return "refused: wrong password?";
    default:
        return "could not join within 20 s";
    }
}

static bool fill(uint8_t *field, size_t capacity, const char *text) {
    const size_t size = strlen(text);
    if (size > capacity) {
        return false;
    }
    memcpy(field, text, size);
    return true;
}

static esp_err_t connect_to(wifi_config_t *config) {
    wanted = false;
    (void)esp_wifi_disconnect();
    espidf_network_lost();
    last_reason = 0;
    config->sta.threshold.authmode = config->sta.password[0] == 0 ? WIFI_AUTH_OPEN : WIFI_AUTH_WPA_PSK;
    const esp_err_t status = esp_wifi_set_config(WIFI_IF_STA, config);
    if (status != ESP_OK) {
        return status;
    }
    wanted = true;
    return esp_wifi_connect();
}

bool espidf_network_join(void *context, const char *ssid, const char *password, tml_text *answer) {
    wifi_config_t config = {0};
    (void)context;
    if (!fill(config.sta.ssid, sizeof config.sta.ssid, ssid) ||
        (password != NULL && !fill(config.sta.password, sizeof config.sta.password, password))) {
        tml_wipe(&config, sizeof config);
        tml_text_add(answer, "an SSID has at most 32 bytes, a password 64");
        return false;
    }
    const esp_err_t status = connect_to(&config);
    tml_wipe(&config, sizeof config);
    if (status != ESP_OK) {
        wanted = false;
        tml_text_add(answer, esp_err_to_name(status));
        return false;
    }
    if (!espidf_network_wait(answer, why)) {
        wanted = false;
        return false;
    }
    return true;
}

/* ---- what outlives a restart ---- */

static esp_err_t store(nvs_handle_t nvs, const wifi_config_t *config) {
    esp_err_t status = nvs_set_blob(nvs, "ssid", config->sta.ssid, sizeof config->sta.ssid);
    if (status == ESP_OK) {
        status = nvs_set_blob(nvs, "password", config->sta.password, sizeof config->sta.password);
    }
    return status == ESP_OK ? nvs_commit(nvs) : status;
}

bool espidf_network_save(void *context, tml_text *answer) {
    wifi_config_t config = {0};
    nvs_handle_t nvs;
    (void)context;
    esp_err_t status = wanted ? esp_wifi_get_config(WIFI_IF_STA, &config) : ESP_ERR_INVALID_STATE;
    if (status == ESP_OK) {
        status = nvs_open(PLACE, NVS_READWRITE, &nvs);
    }
    if (status == ESP_OK) {
        status = store(nvs, &config);
        nvs_close(nvs);
    }
    tml_wipe(&config, sizeof config);
    if (status != ESP_OK) {
        tml_text_add(answer, wanted ? esp_err_to_name(status) : "no network has been joined");
    }
    return status == ESP_OK;
}

bool espidf_network_forget(void *context, tml_text *answer) {
    nvs_handle_t nvs;
    (void)context;
    esp_err_t status = nvs_open(PLACE, NVS_READWRITE, &nvs);
    if (status == ESP_OK) {
        status = nvs_erase_all(nvs);
        status = status == ESP_OK ? nvs_commit(nvs) : status;
        nvs_close(nvs);
    }
    if (status != ESP_OK) {
        tml_text_add(answer, esp_err_to_name(status));
    }
    return status == ESP_OK;
}

static void join_saved(void) {
    wifi_config_t config = {0};
    size_t ssid_size = sizeof config.sta.ssid;
    size_t password_size = sizeof config.sta.password;
    nvs_handle_t nvs;
    if (nvs_open(PLACE, NVS_READONLY, &nvs) != ESP_OK) {
        return; /* nothing was saved */
    }
    if (nvs_get_blob(nvs, "ssid", config.sta.ssid, &ssid_size) == ESP_OK &&
        nvs_get_blob(nvs, "password", config.sta.password, &password_size) == ESP_OK) {
        (void)connect_to(&config);
    }
    nvs_close(nvs);
    tml_wipe(&config, sizeof config);
}

void espidf_network_init(void) {
    const wifi_init_config_t init = WIFI_INIT_CONFIG_DEFAULT();
    const esp_timer_create_args_t timer = {.callback = try_again, .name = "join"};
    espidf_network_prepare();
    ESP_ERROR_CHECK(esp_timer_create(&timer, &retry));
    configASSERT(esp_netif_create_default_wifi_sta() != NULL);
    ESP_ERROR_CHECK(esp_wifi_init(&init));
    ESP_ERROR_CHECK(esp_event_handler_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_wifi, NULL));
    ESP_ERROR_CHECK(esp_wifi_set_storage(WIFI_STORAGE_RAM)); /* in NVS only what `save` puts there */
    ESP_ERROR_CHECK(esp_wifi_set_mode(WIFI_MODE_STA));
    ESP_ERROR_CHECK(esp_wifi_start());
    ESP_ERROR_CHECK(esp_wifi_set_ps(WIFI_PS_NONE)); /* the saving would cost up to 100 ms for each answer */
    join_saved();
}
