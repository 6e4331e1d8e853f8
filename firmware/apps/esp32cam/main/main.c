/* ESP32-CAM: TensorFlow Lite Micro, provisioned over the serial console, pulling samples over HTTP. Wiring only. */
#include <esp_random.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena_rule.h"
#include "console_espidf.h"
#include "network_espidf.h"
#include "port_espidf.h"
#include "puller.h"
#include "tflm_arena.h"
#include "tml_engine_tflm.h"

#define STORE_BYTES (1024U * 1024U) /* the largest model that can be uploaded, where there is PSRAM */

/* What has room in internal RAM alone, and what PSRAM adds. */
typedef struct {
    size_t window, frame, rx, tx, posts, store;
} sizes;
static const sizes small = {.window = 16384, .frame = 8192, .rx = 4096, .tx = 4096, .posts = 8192, .store = 0};
static const sizes large = {
    .window = 65536, .frame = 32768, .rx = 16384, .tx = 16384, .posts = 65536, .store = STORE_BYTES};

static uint32_t random_bits(void *context) {
    (void)context;
    return esp_random();
}

static void serve(void *unused) {
    static puller_board board = {
        .console_read = espidf_console_read,
        .console_write = espidf_console_write,
        .random = random_bits,
        .network = espidf_network,
        .wifi = espidf_network_join,
        .save = espidf_network_save,
        .forget = espidf_network_forget,
        .idle = espidf_watchdog_feed,
    };
    static uint8_t io[2048];
    static tml_port port;
    static puller pulling;
    static tml_session session;
    const sizes *s = espidf_has_psram() ? &large : &small;
    (void)unused;
    espidf_watchdog_init();
    espidf_port_init(&port, TML_BOARD, TML_CLOCK_CYCLES_WANTED);
    espidf_mac(board.mac);
    app_tflm_arena(ARENA_RULE_NETWORK);

    const tml_pull_config pull = {
        .rx = espidf_need("the window", espidf_block(s->window)),
        .rx_size = s->window,
        .tx = espidf_need("results", espidf_block(s->posts)),
        .tx_size = s->posts,
        .io = io,
        .io_size = sizeof io,
    };
    puller_init(&pulling, &board, &port, &pull);
    const tml_config config = {
        .port = &pulling.port,
        .engine = &tml_the_engine,
        .model = &tml_the_model,
        .firmware_version = TML_FIRMWARE_VERSION,
        .firmware_sha256 = TML_FIRMWARE_SHA256,
        .rx = espidf_need("received bytes", espidf_block(s->rx)),
        .rx_size = s->rx,
        .frame = espidf_need("a frame", espidf_block(s->frame)),
        .frame_size = s->frame,
        .tx = espidf_need("a reply", espidf_block(s->tx)),
        .tx_size = s->tx,
        .rx_window = (uint32_t)s->window,
        .load = s->store != 0 ? tml_session_load : NULL,
        .store = s->store != 0 ? espidf_need("an uploaded model", espidf_block(s->store)) : NULL,
        .store_size = s->store,
    };
    if (puller_run(&pulling, &session, &config) != TML_OK) {
        printf("tinyml: note the buffers are too small for this model\n");
    }
    fflush(stdout);
    abort(); /* a UART is never gone: the configuration was refused */
}

void app_main(void) {
    espidf_note_restart();
    espidf_console_init();
    espidf_network_init();
    espidf_start(serve);
}
