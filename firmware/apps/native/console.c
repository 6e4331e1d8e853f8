#define _GNU_SOURCE
#include "console.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "port_native.h"

#define WRITE_TIMEOUT_MS 1000 /* for whoever does not read the answers: they are lost then */
#define LAST_WORDS_MS 2000U

static bool ready(int fd, short events, int timeout_ms) {
    struct pollfd watched = {.fd = fd, .events = events};
    return poll(&watched, 1, timeout_ms) > 0;
}

static int32_t console_read(void *context, uint8_t *data, size_t capacity) {
    (void)context;
    if (!ready(STDIN_FILENO, POLLIN, 0)) {
        return 0;
    }
    ssize_t got = read(STDIN_FILENO, data, capacity);
    if (got < 0) {
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    }
    return got == 0 ? -1 : (int32_t)got;
}

static void console_write(void *context, const char *data, size_t size) {
    (void)context;
    /* An answer is shorter than what a pipe takes at once (PIPE_BUF), so that a write never blocks when it is ready. */
    if (ready(STDOUT_FILENO, POLLOUT, WRITE_TIMEOUT_MS)) {
        ssize_t written = write(STDOUT_FILENO, data, size);
        (void)written;
    }
}

static uint32_t console_random(void *context) {
    uint32_t bits;
    (void)context;
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) {
        abort(); /* does not happen for so few bytes */
    }
    return bits;
}

/* The computer is in its network already. */
static bool network(void *context, tml_text *address) {
    (void)context;
    tml_text_add(address, "127.0.0.1");
    return true;
}

static bool join(void *context, const char *ssid, const char *password, tml_text *answer) {
    (void)ssid;
    (void)password;
    return network(context, answer);
}

const puller_board *console_board(const char *mac) {
    static puller_board board = {
        .console_read = console_read,
        .console_write = console_write,
        .random = console_random,
        .network = network,
        .wifi = join,
    };
    tml_text text = tml_text_in(board.mac, sizeof board.mac);
    tml_text_add(&text, mac);
    return &board;
}

/* ---- faults ---- */

static void before_report(void *context) {
    puller_last_words(context);
}

static void after_report(void *context) {
    puller_flush(context, LAST_WORDS_MS);
}

void console_report_faults(puller *p, const tml_session *session) {
    static native_fault_line line = {.before = before_report, .after = after_report};
    line.context = p;
    native_report_faults(session, &line);
}
