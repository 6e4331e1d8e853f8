/* The firmware core on an emulated processor, bare metal: wiring only. What to do stands on the command line that QEMU
 * hands over, as words NAME=VALUE:
 *
 *   in=PATH out=PATH      the bulk line: two files of the host
 *   serial=1              the emulated UART instead
 *   clock=instructions    QEMU runs with -icount
 * and in images built with TML_FAULTS, for tests and benchmarks:
 *
 *   fault=KIND            misbehave (may be repeated; apps/common/faults.h)
 *   loop=N                no session: take as many input tensors from the line as fit LOOP_BYTES, run the engine N
 * times on them in turn, say how long it took, and end */
#include "emulated.h"
#if defined(TML_FAULTS)
#include <string.h>

#include "fault_report.h"
#include "faults.h"
#endif

#ifndef TML_FIRMWARE_SHA256
#error "TML_FIRMWARE_SHA256 must be the digest of sources, flags and compiler, as 64 hex digits in quotes"
#endif
#ifndef TML_FIRMWARE_VERSION
#error "TML_FIRMWARE_VERSION must be the version of the sources, in quotes"
#endif

#define POLL_MS 500U
#define EXIT_USAGE 2
#define EXIT_LINE 4
#define LOOP_BYTES 32768U

/* The pipe holds what the host has sent ahead: the board itself needs room for one frame, and to receive into. A UART
 * has its ring buffer only. */
#define RX_BYTES 4096U
#ifndef TML_FRAME_BYTES /* a model with large inputs takes more, at most half a PIPE_WINDOW */
#define TML_FRAME_BYTES 8192U
#endif
#ifndef TML_TX_BYTES /* a model with large outputs takes more: a frame holds one */
#define TML_TX_BYTES 4096U
#endif
#define PIPE_WINDOW 65536U /* what a Linux pipe holds if nobody asks for more */
#define SERIAL_FRAME 4096U /* twice that is the ring buffer of the UART */

static uint8_t rx[RX_BYTES];
static uint8_t frame[TML_FRAME_BYTES];
static uint8_t tx[TML_TX_BYTES];

#if defined(TML_FAULTS)
static void hang(void) {
    for (;;) {
    }
}

static void leave(void) {
    emulated_exit(EXIT_LINE + 1);
}

static bool announce(const char *what) {
    fault_text line = {.size = 0};
    fault_append(&line, "fault injected: ");
    fault_append(&line, what);
    emulated_console(line.text);
    return true;
}

static const fault_death deaths[] = {
    {"bad-instruction", emulated_bad_instruction},
    {"wild-write", emulated_wild_write},
    {"stack-overflow", emulated_overflow_stack},
    {"lock-up", emulated_lock_up},
    {"hang", hang},
    {"exit", leave},
    {NULL, NULL},
};
static uint32_t loop_count;

static bool parse_count(const char *text) {
    loop_count = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        loop_count = 10 * loop_count + (uint32_t)(*text - '0');
    }
    return *text == '\0' && loop_count != 0;
}

/* What a session's overhead is measured against. Real samples: on one and the same the host's branch predictor would
 * learn the emulated branches by heart. */
static _Noreturn void run_loop(const tml_port *port, tml_engine *engine) {
    static uint8_t samples[LOOP_BYTES];
    fault_text line = {.size = 0};
    size_t size = tml_tensor_bytes(&tml_the_model.input);
    size_t held = sizeof samples - sizeof samples % size;
    for (size_t at = 0; at < held;) {
        int32_t got = port->read(port->context, samples + at, held - at, POLL_MS);
        if (got < 0) {
            emulated_exit(EXIT_LINE);
        }
        at += (size_t)got;
    }
    (void)engine->init(engine);
    uint32_t started = port->uptime_ms(port->context);
    size_t at = 0;
    for (uint32_t i = 0; i < loop_count; i++) {
        memcpy(engine->input(engine), samples + at, size);
        (void)engine->invoke(engine);
        at = at + size == held ? 0 : at + size;
    }
    fault_append(&line, "loop ms ");
    fault_append_hex(&line, port->uptime_ms(port->context) - started);
    emulated_console(line.text);
    emulated_exit(0);
}

static const fault_board fault_ways = {.deaths = deaths, .may_happen = announce};
#endif

/* The text behind `name`, or NULL if the word does not begin with it. */
static const char *value_of(const char *word, const char *name) {
    while (*name != '\0') {
        if (*word++ != *name++) {
            return NULL;
        }
    }
    return word;
}

static bool take_word(const char *word, emulated_options *options) {
    const char *value;
    if ((value = value_of(word, "in=")) != NULL) {
        options->in = value;
    } else if ((value = value_of(word, "out=")) != NULL) {
        options->out = value;
    } else if (value_of(word, "serial=1") != NULL) {
        options->serial = true;
    } else if (value_of(word, "clock=instructions") != NULL) {
        options->instructions = true;
#if defined(TML_FAULTS)
    } else if ((value = value_of(word, "fault=")) != NULL) {
        return faults_add(value);
    } else if ((value = value_of(word, "loop=")) != NULL) {
        return parse_count(value);
#endif
    } else {
        return false;
    }
    return true;
}

/* Cuts the line at its blanks, in place. Says which word is not understood. */
static bool parse_words(char *line, emulated_options *options) {
    while (*line != '\0') {
        char *word = line;
        while (*line != '\0' && *line != ' ') {
            line++;
        }
        if (*line == ' ') {
            *line++ = '\0';
        }
        if (*word != '\0' && !take_word(word, options)) {
            emulated_console("not understood on the command line:");
            emulated_console(word);
            return false;
        }
    }
    return options->serial || (options->in != NULL && options->out != NULL);
}

static _Noreturn void give_up(const char *why, int status) {
    emulated_console(why);
    emulated_exit(status);
}

int main(void) {
    static char line[256];
    static emulated_options options;
    static tml_port port;
    static tml_session session;
#if defined(TML_FAULTS)
    faults_init(&fault_ways);
#endif
    if (!emulated_command_line(line, sizeof line) || !parse_words(line, &options)) {
        give_up("usage: in=PATH out=PATH | serial=1, and clock=instructions", EXIT_USAGE);
    }
    if (emulated_port_init(&port, &options) != TML_OK) {
        give_up("the line to the host cannot be opened", EXIT_LINE);
    }
    tml_engine *engine = &tml_the_engine;
#if defined(TML_FAULTS)
    if (loop_count != 0) {
        run_loop(&port, engine);
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
        .frame_size = options.serial ? SERIAL_FRAME : sizeof frame,
        .tx = tx,
        .tx_size = sizeof tx,
        .rx_window = options.serial ? 2 * SERIAL_FRAME : PIPE_WINDOW,
    };
    emulated_report_faults(&session);
    if (tml_session_init(&session, &config) != TML_OK) {
        give_up("one result of this model does not fit the buffers, or its description makes no sense", EXIT_USAGE);
    }
    emulated_console("tinyml " TML_FIRMWARE_VERSION ", firmware " TML_FIRMWARE_SHA256);
    int status;
    do {
        status = tml_session_poll(&session, POLL_MS);
    } while (status == TML_OK);
    if (status != TML_ERR_CLOSED) {
        give_up("the line to the host failed", EXIT_LINE);
    }
    emulated_exit(0);
}
