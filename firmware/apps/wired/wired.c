#include "wired.h"

#include <string.h>

#include "selftest.h"
#include "tml_answers.h"

#define POLL_MS 100U
#define COMMAND "tinyml "
#define COMMAND_SIZE (sizeof COMMAND - 1)
_Static_assert(WIRED_HELD >= COMMAND_SIZE, "the beginning of a command must be seen as a whole");

static void be_idle(wired *w) {
    if (w->board->idle != NULL) {
        w->board->idle(w->board->context);
    }
}

/* ---- what comes: commands and frames ---- */

typedef enum { UNDECIDED, NOTHING, A_COMMAND, A_FRAME, JUNK } kind;

static bool ends_line(uint8_t byte) {
    return byte == '\r' || byte == '\n';
}

static kind kind_of(const uint8_t *held, size_t size) {
    if (held[size - 1] == 0) {
        return size == 1 ? NOTHING : A_FRAME; /* too short, the session will say */
    }
    /* A frame begins with one code byte and its version, which is 1: no text has that. */
    if (size > 1 && held[1] == TML_PROTOCOL_VERSION) {
        return A_FRAME;
    }
    if (memcmp(held, COMMAND, size) != 0) {
        return size == 1 ? UNDECIDED : JUNK;
    }
    return size == COMMAND_SIZE ? A_COMMAND : UNDECIDED;
}

static size_t give(uint8_t *out, const uint8_t *data, size_t size) {
    memcpy(out, data, size);
    return size;
}

/* Decides with one byte more. Returns how many bytes went to `out`: WIRED_HELD at most. */
static size_t begin(wired *w, uint8_t byte, uint8_t *out) {
    size_t given = 0;
    if (w->held_size == 1 && ends_line(w->held[0]) && byte != TML_PROTOCOL_VERSION) {
        w->held_size = 0; /* the end of a line before, and not the code of a frame */
    }
    w->held[w->held_size++] = byte;
    const kind found = kind_of(w->held, w->held_size);
    if (found == UNDECIDED) {
        return 0;
    }
    if (found == A_COMMAND) {
        w->state = WIRED_COMMAND; /* which takes what is held */
        return 0;
    }
    if (found != NOTHING) {
        given = give(out, w->held, w->held_size);
        /* Noise lasts to the end of its line: what a person types is not lost for good. */
        w->state = byte == 0 || (found == JUNK && ends_line(byte)) ? WIRED_BEGIN
                   : found == JUNK                                 ? WIRED_JUNK
                                                                   : WIRED_FRAME;
    }
    w->held_size = 0;
    return given;
}

static void take_command(wired *w, uint8_t byte) {
    static const uint8_t spoils[] = {0, '\n'}; /* half a command is not carried out */
    tml_console_feed(&w->console, w->held, w->held_size);
    w->held_size = 0;
    tml_console_feed(&w->console, byte == 0 ? spoils : &byte, byte == 0 ? sizeof spoils : 1);
    w->state = byte == 0 || ends_line(byte) ? WIRED_BEGIN : WIRED_COMMAND;
}

/* Tells apart what has been read, as far as `out` has room. Returns the bytes for the session. */
static size_t sort(wired *w, uint8_t *out, size_t capacity) {
    size_t size = 0;
    /* A command waits until what came before it has been answered. */
    while (w->io_at < w->io_end && capacity - size >= WIRED_HELD && (w->state != WIRED_COMMAND || size == 0)) {
        const uint8_t *at = w->io + w->io_at;
        size_t left = w->io_end - w->io_at;
        if (w->state == WIRED_FRAME) {
            left = left < capacity - size ? left : capacity - size;
            const size_t to_zero = tml_find_zero(at, left);
            const size_t taken = to_zero < left ? to_zero + 1 : left;
            size += give(out + size, at, taken);
            w->io_at += taken;
            w->state = to_zero < left ? WIRED_BEGIN : WIRED_FRAME;
            continue;
        }
        w->io_at++;
        if (w->state == WIRED_BEGIN) {
            size += begin(w, *at, out + size);
        } else if (w->state == WIRED_COMMAND) {
            take_command(w, *at);
        } else {
            out[size++] = *at;
            w->state = *at == 0 || ends_line(*at) ? WIRED_BEGIN : WIRED_JUNK;
        }
    }
    return size;
}

static int32_t port_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    wired *w = context;
    be_idle(w);
    if (capacity < WIRED_HELD) {
        return 0; /* the session makes room first: its buffer is larger */
    }
    if (w->io_at == w->io_end) {
        const int32_t got = w->inner->read(w->inner->context, w->io, sizeof w->io, timeout_ms);
        if (got <= 0) {
            if (got == TML_ERR_OVERRUN) {
                if (w->state == WIRED_COMMAND) {
                    take_command(w, 0);
                }
                w->held_size = 0;
                w->state = WIRED_JUNK;
            }
            return got;
        }
        w->io_at = 0;
        w->io_end = (size_t)got;
    }
    return (int32_t)sort(w, data, capacity);
}

/* ---- what goes out ---- */

static int port_write(void *context, const uint8_t *data, size_t size) {
    static const uint8_t zero = 0;
    wired *w = context;
    const int status = w->inner->write(w->inner->context, &zero, 1);
    return status == TML_OK ? w->inner->write(w->inner->context, data, size) : status;
}

static void write_console(void *context, const char *data, size_t size) {
    wired *w = context;
    (void)w->inner->write(w->inner->context, (const uint8_t *)data, size);
}

static void port_log(void *context, const char *text) {
    const wired *w = context;
    tml_console_say(&w->console, "note", text);
}

/* ---- the rest of the port ---- */

static uint64_t port_ticks(void *context) {
    const wired *w = context;
    return w->inner->ticks(w->inner->context);
}

/* The core asks before each inference, whether it reads or not. */
static uint32_t port_uptime_ms(void *context) {
    wired *w = context;
    const uint32_t now = w->inner->uptime_ms(w->inner->context);
    if (now != w->served_ms) {
        w->served_ms = now;
        be_idle(w);
    }
    return now;
}

static void port_restart(void *context) {
    const wired *w = context;
    w->inner->restart(w->inner->context);
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    const wired *w = context;
    return w->inner->stat != NULL && w->inner->stat(w->inner->context, key, value);
}

/* ---- commands ---- */

static bool on_identity(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    const wired *w = context;
    (void)count;
    (void)arguments;
    tml_answer_identity(out, w->session, w->board->mac);
    return true;
}

static bool on_status(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    const wired *w = context;
    (void)count;
    (void)arguments;
    tml_answer_count(out, "uptime_ms", w->inner->uptime_ms(w->inner->context));
    tml_text_char(out, ' ');
    tml_answer_count(out, "frames", w->session->frames_received);
    tml_text_char(out, ' ');
    tml_answer_count(out, "dropped", w->session->frames_dropped);
    tml_text_char(out, ' ');
    tml_answer_count(out, "inferences", w->session->inferences);
    return true;
}

static void say_line(void *context, const char *text) {
    wired *w = context;
    char buffer[TML_CONSOLE_ANSWER];
    tml_text line = tml_text_in(buffer, sizeof buffer);
    tml_text_add(&line, "tinyml: ");
    tml_text_add(&line, text);
    tml_text_add(&line, "\r\n");
    write_console(w, line.text, line.size);
    be_idle(w);
}

static bool on_selftest(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    wired *w = context;
    (void)count;
    (void)arguments;
    return selftest_run(w->session, w->board->samples, say_line, w, out);
}

static bool on_restart(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    (void)context;
    (void)count;
    (void)arguments;
    (void)out;
    return true;
}

static void after_restart(void *context) {
    port_restart(context);
}

static const tml_command commands[] = {
    {"identity", 0, 0, on_identity, NULL},
    {"status", 0, 0, on_status, NULL},
    {"selftest", 0, 0, on_selftest, NULL},
    {"restart", 0, 0, on_restart, after_restart},
    {NULL, 0, 0, NULL, NULL},
};

/* ---- the loop ---- */

void wired_init(wired *w, const wired_board *board, const tml_port *port) {
    memset(w, 0, sizeof *w);
    w->board = board;
    w->inner = port;
    w->port = *port;
    w->port.context = w;
    w->port.read = port_read;
    w->port.write = port_write;
    w->port.ticks = port_ticks;
    w->port.uptime_ms = port_uptime_ms;
    w->port.log = port_log;
    w->port.restart = port_restart;
    w->port.stat = port_stat;
    tml_console_init(&w->console, commands, w, write_console);
}

static int send_logged(wired *w) {
    char line[WIRED_LOG];
    int status = TML_OK;
    while (status == TML_OK && w->board->logged != NULL && w->board->logged(w->board->context, line, sizeof line)) {
        status = tml_session_log(w->session, line);
    }
    return status;
}

static void introduce(wired *w, bool selftest) {
    static const uint8_t zero = 0; /* what the line was before, a boot loader's at another speed, is not part of it */
    char buffer[TML_CONSOLE_ANSWER];
    (void)w->inner->write(w->inner->context, &zero, 1);
    tml_text text = tml_text_in(buffer, sizeof buffer);
    tml_answer_identity(&text, w->session, w->board->mac);
    tml_console_say(&w->console, "ready", buffer);
    if (selftest) {
        text = tml_text_in(buffer, sizeof buffer);
        tml_text_add(&text, "selftest ");
        const bool done = selftest_run(w->session, w->board->samples, say_line, w, &text);
        tml_console_say(&w->console, done ? "ok" : "error", buffer);
    }
}

int wired_run(wired *w, tml_session *session, const tml_config *config, bool selftest) {
    int status = tml_session_init(session, config);
    if (status != TML_OK) {
        return status;
    }
    w->session = session;
    introduce(w, selftest);
    while (status == TML_OK) {
        status = tml_session_poll(session, POLL_MS);
        if (status == TML_OK && session->frames_received != 0) {
            if (!w->linked && w->board->heard != NULL) {
                w->board->heard(w->board->context);
            }
            w->linked = true;
            status = send_logged(w);
        }
    }
    return status;
}
