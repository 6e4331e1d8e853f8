/* The firmware core as a Linux process: the board `native`. Wiring only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "faults.h"
#include "options.h"
#include "port_native.h"
#include "selftest.h"
#include "tml_mlperf.h"
#include "wired.h"

#ifndef TML_FIRMWARE_SHA256
#error "TML_FIRMWARE_SHA256 must be the digest of sources, flags and compiler, as 64 hex digits in quotes"
#endif
#ifndef TML_FIRMWARE_VERSION
#error "TML_FIRMWARE_VERSION must be the version of the sources, in quotes"
#endif

#define POLL_MS 500
#define SMALLEST_TX 1024U
#define ANSWER 128U

/* ---- planted faults ---- */

static const char *once_path;

/* Remembers in the file of --fault-once that it has happened. */
static bool may_happen(const char *what) {
    if (once_path != NULL) {
        int fd = open(once_path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) {
            return false;
        }
        close(fd);
    }
    fprintf(stderr, "fault injected: %s\n", what);
    return true;
}

static void crash(void) {
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

static void leave(void) {
    _exit(3);
}

static void hang(void) {
    for (;;) {
        pause();
    }
}

static void wait_us(uint32_t us) {
    struct timespec left = {.tv_sec = (time_t)(us / 1000000U), .tv_nsec = (long)(us % 1000000U) * 1000};
    while (nanosleep(&left, &left) != 0) {
    }
}

static const fault_death deaths[] = {{"crash", crash}, {"abort", abort}, {"exit", leave}, {"hang", hang}, {NULL, NULL}};
static const fault_board fault_ways = {.deaths = deaths, .may_happen = may_happen, .wait_us = wait_us};

/* ---- memory ---- */

static void *allocate(size_t size) {
    void *block = malloc(size);
    if (block == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return block;
}

static tml_config configuration(const options *o, const tml_port *port, tml_engine *engine) {
    bool fast = o->tty == NULL;
    size_t output_bytes = tml_tensor_bytes(&tml_the_model.output);
    uint32_t max_frame = o->max_frame != 0 ? o->max_frame : fast ? 1U << 17 : 1U << 12;
    uint32_t rx_window = o->rx_window != 0 ? o->rx_window : fast ? 1U << 19 : 1U << 13;
    /* One result of any model must fit, however small the frames that are received. */
    size_t smallest_tx = SMALLEST_TX + output_bytes + output_bytes / 254;
    size_t tx_size = max_frame > smallest_tx ? max_frame : smallest_tx;
    return (tml_config){
        .port = port,
        .engine = engine,
        .model = &tml_the_model,
        .firmware_version = TML_FIRMWARE_VERSION,
        .firmware_sha256 = TML_FIRMWARE_SHA256,
        .rx = allocate(rx_window),
        .rx_size = rx_window,
        .frame = allocate(max_frame),
        .frame_size = max_frame,
        .tx = allocate(tx_size),
        .tx_size = tx_size,
        .rx_window = rx_window,
    };
}

static void introduce(const tml_config *config) {
    fprintf(stderr, "tinyml %s, board %s, engine %s, model %s, firmware %.12s, window %u B, frames of %u B\n",
            TML_FIRMWARE_VERSION, config->port->board, config->engine->name, tml_the_model.name, TML_FIRMWARE_SHA256,
            config->rx_window, (uint32_t)config->frame_size);
}

static int bad_configuration(void) {
    fprintf(stderr, "bad configuration: the window must hold two frames of at least 64 bytes\n");
    return 1;
}

/* ---- the five ways to work ---- */

static bool open_line(const options *o, native_line *line) {
    int error = o->has_fd ? native_open_fd(line, (int)o->fd) : native_open_tty(line, o->tty, o->baud);
    if (error != 0) {
        fprintf(stderr, "cannot use %s: %s\n", o->has_fd ? "the file descriptor" : o->tty, strerror(error));
    }
    return error == 0;
}

static int until_closed(int status) {
    if (status != TML_ERR_CLOSED) {
        fprintf(stderr, "the host stopped reading\n");
    }
    return status == TML_ERR_CLOSED ? 0 : 1;
}

static int on_a_line(const options *o, tml_port *port, native_line *line, tml_session *session) {
    if (!open_line(o, line)) {
        return 1;
    }
    tml_engine *engine = faults_wrap(port, &tml_the_engine, &tml_the_model, session);
    tml_config config = configuration(o, port, engine);
    native_report_faults(session, NULL);
    if (tml_session_init(session, &config) != TML_OK) {
        return bad_configuration();
    }
    introduce(&config);
    int status;
    do {
        status = tml_session_poll(session, POLL_MS);
    } while (status == TML_OK);
    return until_closed(status);
}

/* As a board whose serial port carries frames and a console side by side. */
static int on_a_wire(const options *o, tml_port *port, native_line *line, tml_session *session) {
    static wired w;
    static wired_board board;
    tml_text mac = tml_text_in(board.mac, sizeof board.mac);
    if (!open_line(o, line)) {
        return 1;
    }
    tml_text_add(&mac, o->mac);
    board.samples = selftest_samples();
    wired_init(&w, &board, port);
    tml_engine *engine = faults_wrap(&w.port, &tml_the_engine, &tml_the_model, session);
    tml_config config = configuration(o, &w.port, engine);
    native_report_faults(session, NULL);
    introduce(&config);
    const int status = wired_run(&w, session, &config, o->selftest);
    return status == TML_ERR_CONFIG ? bad_configuration() : until_closed(status);
}

/* For MLPerf Tiny's runner, and whoever speaks like it. */
static int as_a_benchmark(const options *o, tml_port *port, native_line *line, tml_session *session) {
    static tml_mlperf device;
    if (!open_line(o, line)) {
        return 1;
    }
    session->busy_sample = TML_NO_SAMPLE; /* faults by a sample's id never come: this protocol has none */
    const size_t size = tml_tensor_bytes(&tml_the_model.input);
    const tml_mlperf_config config = {
        .engine = faults_wrap(port, &tml_the_engine, &tml_the_model, session),
        .port = port,
        .model = &tml_the_model,
        .vendor = port->board,
        .profile = "pytest-tinyml " TML_FIRMWARE_VERSION,
        .buffer = allocate(size),
        .buffer_size = size,
        .tensor = allocate(size),
        .digits = (uint8_t)(o->digits < UINT8_MAX ? o->digits : UINT8_MAX),
    };
    int status = tml_mlperf_init(&device, &config);
    if (status == TML_ERR_CONFIG) {
        fprintf(stderr, "bad configuration: at most %u decimals\n", TML_MLPERF_MAX_DIGITS);
        return 1;
    }
    while (status == TML_OK) {
        status = tml_mlperf_poll(&device, POLL_MS);
    }
    return until_closed(status);
}

static int on_the_console(const options *o, const tml_port *port, tml_session *session) {
    static puller p;
    const uint32_t window = o->rx_window != 0 ? o->rx_window : 1U << 19;
    const tml_pull_config pull = {
        .rx = allocate(window),
        .rx_size = window,
        .tx = allocate(PULL_TX_BYTES),
        .tx_size = PULL_TX_BYTES,
        .io = allocate(PULL_IO_BYTES),
        .io_size = PULL_IO_BYTES,
    };
    puller_init(&p, console_board(o->mac), port, &pull);
    tml_engine *engine = faults_wrap(&p.port, &tml_the_engine, &tml_the_model, session);
    tml_config config = configuration(o, &p.port, engine);
    console_report_faults(&p, session);
    introduce(&config);
    return puller_run(&p, session, &config) == TML_OK ? 0 : bad_configuration();
}

static void print_line(void *context, const char *text) {
    (void)context;
    puts(text);
}

/* Without a host: the samples that are compiled in. */
static int by_itself(const options *o, tml_port *port, tml_session *session) {
    char said[ANSWER];
    tml_text answer = tml_text_in(said, sizeof said);
    tml_engine *engine = faults_wrap(port, &tml_the_engine, &tml_the_model, session);
    tml_config config = configuration(o, port, engine);
    if (tml_session_init(session, &config) != TML_OK) {
        return bad_configuration();
    }
    introduce(&config);
    const bool done = selftest_run(session, selftest_samples(), print_line, NULL, &answer);
    printf("%s %s\n", done ? "ok" : "error", said);
    return done ? 0 : 1;
}

int main(int argc, char **argv) {
    static native_line line;
    static tml_port port;
    static tml_session session;
    options o;
    faults_init(&fault_ways);
    if (!parse_options(argc, argv, &o)) {
        return usage(stderr, argv[0]);
    }
    once_path = o.once_path;
    native_port_init(&port, &line, argv);
    port.board = o.board;
    port.chip = o.chip != NULL ? o.chip : port.chip;
    native_die_with_parent();
    if (o.console) {
        return on_the_console(&o, &port, &session);
    }
    if (o.selftest && !o.wired) {
        return by_itself(&o, &port, &session);
    }
    if (o.wired) {
        return on_a_wire(&o, &port, &line, &session);
    }
    return o.mlperf ? as_a_benchmark(&o, &port, &line, &session) : on_a_line(&o, &port, &line, &session);
}
