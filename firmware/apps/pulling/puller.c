#include "puller.h"

#include <string.h>

#include "tml_answers.h"

#define POLL_MS 100U
#define REST_MS 20U       /* between looks at the console while nothing is pulled */
#define FLUSH_MS 2000U    /* for the last answer before a restart */
#define CONSOLE_BYTES 64U /* read from the console at once */
#define ADDRESS_SIZE 16U  /* of an IPv4 address in dots, with its end */

/* ---- the port: the platform's, with a line that pulls ---- */

static void serve_console(puller *p) {
    uint8_t data[CONSOLE_BYTES];
    int32_t got;
    if (p->console.busy) {
        return; /* a command waits for something, and is asked to be idle */
    }
    while (!p->gone && (got = p->board->console_read(p->board->context, data, sizeof data)) != 0) {
        if (got < 0) {
            p->gone = true;
        } else {
            tml_console_feed(&p->console, data, (size_t)got);
        }
        tml_wipe(data, sizeof data);
    }
}

/* Whether whatever is waited for is of no use any more. */
static bool on_idle(void *context) {
    puller *p = context;
    if (p->board->idle != NULL) {
        p->board->idle(p->board->context);
    }
    serve_console(p);
    return p->gone || p->changed;
}

static int32_t port_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    puller *p = context;
    return p->gone || p->changed ? TML_ERR_CLOSED : tml_pull_read(&p->pull, data, capacity, timeout_ms);
}

static int port_write(void *context, const uint8_t *data, size_t size) {
    puller *p = context;
    return p->gone || p->changed ? TML_ERR_CLOSED : tml_pull_write(&p->pull, data, size);
}

static uint64_t port_ticks(void *context) {
    const puller *p = context;
    return p->inner->ticks(p->inner->context);
}

/* The core asks before each inference, whether it reads or not: so the exchange, the console and a watchdog have their
 * turn between inferences too, once per millisecond at most. */
static uint32_t port_uptime_ms(void *context) {
    puller *p = context;
    uint32_t now = p->inner->uptime_ms(p->inner->context);
    if (now != p->served_ms && p->session != NULL && p->session->busy_seq != 0 && !p->gone && !p->changed) {
        p->served_ms = now;
        tml_pull_step(&p->pull);
        (void)on_idle(p);
    }
    return now;
}

static void port_log(void *context, const char *text) {
    const puller *p = context;
    p->inner->log(p->inner->context, text);
}

static void port_restart(void *context) {
    puller *p = context;
    (void)tml_pull_flush(&p->pull, FLUSH_MS);
    p->inner->restart(p->inner->context);
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    const puller *p = context;
    return p->inner->stat != NULL && p->inner->stat(p->inner->context, key, value);
}

static uint32_t pull_now_ms(void *context) {
    const puller *p = context;
    return p->inner->uptime_ms(p->inner->context);
}

static uint32_t pull_random(void *context) {
    const puller *p = context;
    return p->board->random(p->board->context);
}

static void pull_note(void *context, const char *text) {
    const puller *p = context;
    tml_console_say(&p->console, "note", text);
}

/* ---- commands ---- */

static bool on_identity(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    (void)count;
    (void)arguments;
    const puller *p = context;
    tml_answer_identity(out, p->session, p->board->mac);
    return true;
}

static bool on_wifi(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    const puller *p = context;
    return p->board->wifi(p->board->context, arguments[0], count > 1 ? arguments[1] : NULL, out);
}

static bool on_server(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    puller *p = context;
    uint32_t port;
    uint32_t index;
    (void)count;
    p->changed = true;
    if (!tml_parse_number(arguments[1], UINT16_MAX, &port) || !tml_parse_number(arguments[2], UINT32_MAX, &index) ||
        !tml_pull_begin(&p->pull, arguments[0], (uint16_t)port, index, arguments[3])) {
        tml_pull_end(&p->pull);
        tml_text_add(out, "host, port, index or token is malformed");
        return false;
    }
    return true;
}

static bool on_status(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    const puller *p = context;
    (void)count;
    (void)arguments;
    tml_answer_count(out, "uptime_ms", p->inner->uptime_ms(p->inner->context));
    char address[ADDRESS_SIZE];
    tml_text text = tml_text_in(address, sizeof address);
    const bool up = p->board->network(p->board->context, &text);
    tml_text_add(out, up ? " network=up" : " network=down");
    tml_answer_value(out, "address", address[0] != 0 ? address : "-");
    tml_text_char(out, ' ');
    tml_answer_count(out, "exchanges", p->pull.counters.exchanges);
    tml_text_char(out, ' ');
    tml_answer_count(out, "retries", p->pull.counters.retries);
    tml_text_char(out, ' ');
    tml_answer_count(out, "inferences", p->session->inferences);
    return true;
}

static bool on_stop(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    puller *p = context;
    (void)count;
    (void)arguments;
    (void)out;
    tml_pull_end(&p->pull);
    p->changed = true;
    return true;
}

static bool keep(bool (*way)(void *, tml_text *), const puller *p, tml_text *out) {
    if (way == NULL) {
        tml_text_add(out, "this board has no place for it");
        return false;
    }
    return way(p->board->context, out);
}

static bool on_save(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    const puller *p = context;
    (void)count;
    (void)arguments;
    return keep(p->board->save, p, out);
}

static bool on_forget(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    const puller *p = context;
    (void)count;
    (void)arguments;
    return keep(p->board->forget, p, out);
}

static bool on_restart(void *context, uint8_t count, const char *const *arguments, tml_text *out) {
    (void)context;
    (void)count;
    (void)arguments;
    (void)out;
    return true;
}

static void after_restart(void *context) {
    const puller *p = context;
    p->inner->restart(p->inner->context);
}

static const tml_command commands[] = {
    {"identity", 0, 0, on_identity, NULL},
    {"wifi", 1, 2, on_wifi, NULL},
    {"server", 4, 4, on_server, NULL},
    {"status", 0, 0, on_status, NULL},
    {"stop", 0, 0, on_stop, NULL},
    {"save", 0, 0, on_save, NULL},
    {"forget", 0, 0, on_forget, NULL},
    {"restart", 0, 0, on_restart, after_restart},
    {NULL, 0, 0, NULL, NULL},
};

static void write_console(void *context, const char *data, size_t size) {
    const puller *p = context;
    p->board->console_write(p->board->context, data, size);
}

/* ---- the loop ---- */

void puller_init(puller *p, const puller_board *board, const tml_port *port, const tml_pull_config *pull) {
    tml_pull_config config = *pull;
    memset(p, 0, sizeof *p);
    p->board = board;
    p->inner = port;
    p->port = *port;
    p->port.context = p;
    p->port.read = port_read;
    p->port.write = port_write;
    p->port.ticks = port_ticks;
    p->port.uptime_ms = port_uptime_ms;
    p->port.log = port_log;
    p->port.restart = port_restart;
    p->port.stat = port_stat;
    config.ops = (tml_pull_ops){
        .context = p,
        .now_ms = pull_now_ms,
        .random = pull_random,
        .idle = on_idle,
        .note = pull_note,
    };
    tml_pull_init(&p->pull, &config);
    tml_console_init(&p->console, commands, p, write_console);
}

int puller_run(puller *p, tml_session *session, const tml_config *config) {
    char identity[TML_CONSOLE_ANSWER];
    tml_text text = tml_text_in(identity, sizeof identity);
    int status = tml_session_init(session, config);
    p->session = session;
    if (status == TML_OK) {
        tml_answer_identity(&text, session, p->board->mac);
        tml_console_say(&p->console, "ready", identity);
    }
    while (!p->gone && status == TML_OK) {
        p->changed = false;
        if (p->pull.status == TML_PULL_GOES_ON) {
            while (tml_session_poll(session, POLL_MS) == TML_OK) {
            }
        } else if (p->pull.status == TML_PULL_REPLACED) {
            tml_pull_again(&p->pull);
        } else {
            tml_http_wait(&p->pull.http, REST_MS);
            (void)on_idle(p);
        }
        if (p->changed || p->pull.status == TML_PULL_REPLACED) {
            /* The next host begins with a clean line. */
            status = tml_session_init(session, config);
        }
    }
    return status;
}

void puller_last_words(puller *p) {
    tml_pull_last_words(&p->pull);
}

void puller_flush(puller *p, uint32_t timeout_ms) {
    (void)tml_pull_flush(&p->pull, timeout_ms);
}
