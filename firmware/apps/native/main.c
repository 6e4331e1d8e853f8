/* The firmware core as a Linux process: the board `native`. Wiring only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "port_native.h"

#ifndef TML_FIRMWARE_SHA256
#error "TML_FIRMWARE_SHA256 must be the digest of sources, flags and compiler, as 64 hex digits in quotes"
#endif
#ifndef TML_FIRMWARE_VERSION
#error "TML_FIRMWARE_VERSION must be the version of the sources, in quotes"
#endif

#define POLL_MS 500
#define SMALLEST_TX 1024U

static int usage(FILE *to, const char *program) {
    fprintf(
        to,
        "usage: %s (--fd N | --tty PATH) [options]\n"
        "  --fd N              talk on this inherited socket; 512 KB window, 128 KB frames\n"
        "  --tty PATH          talk on this terminal, in raw mode; 8 KB window, 4 KB frames\n"
        "  --baud N            of a terminal that has one (115200)\n"
        "  --rx-window BYTES   --max-frame BYTES\n"
        "  --board NAME        in IDENTITY (native)\n"
        "  --fault KIND        misbehave (may be repeated; faults.h has the kinds). Deadly here are crash (SIGSEGV),\n"
        "                      abort, exit (code 3) and hang (endless loop), each with @N or #ID\n"
        "  --fault-once PATH   no fault if PATH exists; it is created when one happens\n",
        program);
    return to == stdout ? 0 : 2;
}

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

/* ---- options ---- */

static bool parse_bytes(const char *text, uint32_t *value) {
    char *end;
    errno = 0;
    unsigned long parsed = strtoul(text, &end, 10);
    *value = (uint32_t)parsed;
    return errno == 0 && *text != '\0' && *end == '\0' && parsed > 0 && parsed <= 1UL << 26;
}

typedef struct {
    const char *tty;
    const char *board;
    uint32_t fd, baud, rx_window, max_frame;
    bool has_fd;
} options;

static bool parse_options(int argc, char **argv, options *o) {
    enum { FD = 1, TTY, BAUD, RX_WINDOW, MAX_FRAME, BOARD, FAULT, FAULT_ONCE };
    static const struct option known[] = {
        {"fd", required_argument, NULL, FD},
        {"tty", required_argument, NULL, TTY},
        {"baud", required_argument, NULL, BAUD},
        {"rx-window", required_argument, NULL, RX_WINDOW},
        {"max-frame", required_argument, NULL, MAX_FRAME},
        {"board", required_argument, NULL, BOARD},
        {"fault", required_argument, NULL, FAULT},
        {"fault-once", required_argument, NULL, FAULT_ONCE},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    for (int found; (found = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (found) {
        case FD:
            good = parse_bytes(optarg, &o->fd) && good;
            o->has_fd = true;
            break;
        case TTY:
            o->tty = optarg;
            break;
        case BAUD:
            good = parse_bytes(optarg, &o->baud) && good;
            break;
        case RX_WINDOW:
            good = parse_bytes(optarg, &o->rx_window) && good;
            break;
        case MAX_FRAME:
            good = parse_bytes(optarg, &o->max_frame) && good;
            break;
        case BOARD:
            o->board = optarg;
            break;
        case FAULT:
            good = faults_add(optarg) && good;
            break;
        case FAULT_ONCE:
            once_path = optarg;
            break;
        case 'h':
            exit(usage(stdout, argv[0]));
        default:
            good = false;
        }
    }
    return good && optind == argc && o->has_fd != (o->tty != NULL);
}

int main(int argc, char **argv) {
    static native_line line;
    static tml_port port;
    static tml_session session;
    options o = {.board = "native", .baud = 115200};
    faults_init(&fault_ways);
    if (!parse_options(argc, argv, &o)) {
        return usage(stderr, argv[0]);
    }
    int error = o.has_fd ? native_open_fd(&line, (int)o.fd) : native_open_tty(&line, o.tty, o.baud);
    if (error != 0) {
        fprintf(stderr, "cannot use %s: %s\n", o.has_fd ? "the file descriptor" : o.tty, strerror(error));
        return 1;
    }
    native_port_init(&port, &line, argv);
    port.board = o.board;

    size_t output_bytes = tml_tensor_bytes(&tml_the_model.output);
    tml_engine *engine = faults_wrap(&port, &tml_the_engine, &tml_the_model, &session);
    uint32_t max_frame = o.max_frame != 0 ? o.max_frame : o.has_fd ? 1U << 17 : 1U << 12;
    uint32_t rx_window = o.rx_window != 0 ? o.rx_window : o.has_fd ? 1U << 19 : 1U << 13;
    /* One result of any model must fit, however small the frames that are received. */
    size_t smallest_tx = SMALLEST_TX + output_bytes + output_bytes / 254;
    size_t tx_size = max_frame > smallest_tx ? max_frame : smallest_tx;
    tml_config config = {
        .port = &port,
        .engine = engine,
        .model = &tml_the_model,
        .firmware_version = TML_FIRMWARE_VERSION,
        .firmware_sha256 = TML_FIRMWARE_SHA256,
        .rx = malloc(rx_window),
        .rx_size = rx_window,
        .frame = malloc(max_frame),
        .frame_size = max_frame,
        .tx = malloc(tx_size),
        .tx_size = tx_size,
        .rx_window = rx_window,
    };
    if (config.rx == NULL || config.frame == NULL || config.tx == NULL) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    native_report_faults(&session);
    native_die_with_parent();
    if (tml_session_init(&session, &config) != TML_OK) {
        fprintf(stderr, "bad configuration: the window must hold two frames of at least 64 bytes\n");
        return 1;
    }
    fprintf(stderr, "tinyml %s, board %s, engine %s, model %s, firmware %.12s, window %u B, frames of %u B\n",
            TML_FIRMWARE_VERSION, port.board, engine->name, tml_the_model.name, TML_FIRMWARE_SHA256, rx_window,
            max_frame);
    int status;
    do {
        status = tml_session_poll(&session, POLL_MS);
    } while (status == TML_OK);
    if (status != TML_ERR_CLOSED) {
        fprintf(stderr, "the host stopped reading\n");
        return 1;
    }
    return 0;
}
