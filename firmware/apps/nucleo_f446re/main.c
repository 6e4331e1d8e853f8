/* The firmware core on a NUCLEO-F446RE: wiring only. The line is the serial port that its ST-LINK shows the host. */
#include "machine.h"
#include "port_stm32f446.h"
#include "usart.h"
#if defined(TML_FAULTS)
#include "faults.h"
#endif

#ifndef TML_FIRMWARE_SHA256
#error "TML_FIRMWARE_SHA256 must be the digest of sources, flags and compiler, as 64 hex digits in quotes"
#endif
#ifndef TML_FIRMWARE_VERSION
#error "TML_FIRMWARE_VERSION must be the version of the sources, in quotes"
#endif

#define POLL_MS 500U

#ifndef TML_FRAME_BYTES /* a model with large inputs takes more */
#define TML_FRAME_BYTES 4096U
#endif
_Static_assert(2U * TML_FRAME_BYTES <= USART_RING_BYTES, "the host sends as much ahead");
#define RX_BYTES 4096U
#ifndef TML_TX_BYTES /* a model with large outputs takes more: a frame holds one */
#define TML_TX_BYTES 4096U
#endif

static uint8_t rx[RX_BYTES];
static uint8_t frame[TML_FRAME_BYTES];
static uint8_t tx[TML_TX_BYTES];

#if defined(TML_FAULTS)
static void hang(void) {
    for (;;) {
    }
}

static const fault_death deaths[] = {
    {"bad-instruction", machine_bad_instruction},
    {"wild-write", machine_wild_write},
    {"stack-overflow", machine_overflow_stack},
    {"lock-up", machine_lock_up},
    {"hang", hang},
    {NULL, NULL},
};
static const fault_board fault_ways = {.deaths = deaths};
#endif

int main(void) {
    static tml_port port;
    static tml_session session;
    stm32f446_port_init(&port);
    port.board = "nucleo-f446re";
    tml_engine *engine = &tml_the_engine;
#if defined(TML_FAULTS)
    faults_init(&fault_ways);
    if (!faults_add(TML_FAULTS_WANTED)) {
        port.log(port.context, "the fault that this was built with is not understood: " TML_FAULTS_WANTED);
    }
    engine = faults_wrap(&port, engine, &tml_the_model, &session);
#endif
    const tml_config config = {
        .port = &port,
        .engine = engine,
        .model = &tml_the_model,
        .firmware_version = TML_FIRMWARE_VERSION,
        .firmware_sha256 = TML_FIRMWARE_SHA256,
        .rx = rx,
        .rx_size = sizeof rx,
        .frame = frame,
        .frame_size = sizeof frame,
        .tx = tx,
        .tx_size = sizeof tx,
        .rx_window = USART_RING_BYTES,
    };
    machine_report_faults(&session);
    if (tml_session_init(&session, &config) != TML_OK) {
        for (;;) { /* until somebody flashes another; said again and again, because nobody may have listened */
            port.log(port.context,
                     "one result of this model does not fit the buffers, or its description makes no sense");
            const uint32_t since = port.uptime_ms(port.context);
            while (port.uptime_ms(port.context) - since < 2U * POLL_MS) {
            }
        }
    }
    port.log(port.context, "tinyml " TML_FIRMWARE_VERSION ", firmware " TML_FIRMWARE_SHA256);
    for (;;) {
        (void)tml_session_poll(&session,
                               POLL_MS); /* a UART cannot be closed, and what it could not send is sent again */
    }
}
