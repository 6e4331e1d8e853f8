/* An ESP32 at a serial port: frames and console on UART0 (PROTOCOL.md section 7). Wiring only. */
#include <sdkconfig.h>
#include <stdio.h>
#include <stdlib.h>

#include "line_espidf.h"
#include "port_espidf.h"
#include "selftest.h"
#include "wired.h"
#include "wired_app.h"

#define LEAST_FRAME 4096U
#define RX_BYTES 2048U
#define LEAST_TX 4096U

#if defined(CONFIG_TINYML_SELFTEST)
#define SELFTEST true
#else
#define SELFTEST false
#endif

/* A frame holds one sample of any model, however badly it packs: a hundredth more, and what stands around it. */
static size_t frame_bytes(void) {
    const size_t sample = tml_tensor_bytes(&tml_the_model.input);
    const size_t frame = sample + sample / 64U + 64U;
    return frame > LEAST_FRAME ? (frame + 15U) / 16U * 16U : LEAST_FRAME;
}

static size_t tx_bytes(void) {
    return LEAST_TX + tml_tensor_bytes(&tml_the_model.output) / 64U * 65U;
}

static void serve(void *unused) {
    static wired_board board = {
        .idle = espidf_watchdog_feed,
        .logged = espidf_line_logged,
        .heard = espidf_line_heard,
    };
    static uint8_t rx[RX_BYTES];
    static tml_port port;
    static wired w;
    static tml_session session;
    (void)unused;
    espidf_watchdog_init();
    espidf_port_init(&port, TML_BOARD, TML_CLOCK_CYCLES_WANTED);
    espidf_line_port(&port);
    espidf_mac(board.mac);
    board.samples = selftest_samples();
    wired_init(&w, &board, &port);
    const tml_config config = {
        .port = &w.port,
        .engine = &tml_the_engine,
        .model = &tml_the_model,
        .firmware_version = TML_FIRMWARE_VERSION,
        .firmware_sha256 = TML_FIRMWARE_SHA256,
        .rx = rx,
        .rx_size = sizeof rx,
        .frame = espidf_need("a frame", espidf_block(frame_bytes())),
        .frame_size = frame_bytes(),
        .tx = espidf_need("a reply", espidf_block(tx_bytes())),
        .tx_size = tx_bytes(),
        .rx_window = (uint32_t)(2U * frame_bytes()),
    };
    app_engine_prepare(); /* which may take all that is left */
    (void)wired_run(&w, &session, &config, SELFTEST);
    printf("tinyml: note the buffers are too small for this model\n");
    fflush(stdout);
    abort(); /* a UART is never gone: the configuration was refused */
}

void app_main(void) {
    espidf_note_restart();
    espidf_line_init(2U * frame_bytes());
    espidf_start(serve);
}
