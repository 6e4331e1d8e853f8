#include "tml_pull.h"

#include <string.h>

#include "tml_text.h"

#define BACK_OFF_MS 100U /* at first, and then twice as long each time ... */
#define BACK_OFF_MOST_MS 5000U
#define NOT_READY_MS 1000U /* 503 */

static uint32_t now_ms(const tml_pull *p) {
    return p->config.ops.now_ms(p->config.ops.context);
}

static void note(const tml_pull *p, const char *text) {
    if (p->config.ops.note != NULL && !p->last_words) {
        p->config.ops.note(p->config.ops.context, text);
    }
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* ---- sessions ---- */

void tml_pull_init(tml_pull *pull, const tml_pull_config *config) {
    memset(pull, 0, sizeof *pull);
    pull->config = *config;
    pull->status = TML_PULL_STOPPED;
    pull->http.fd = -1;
}

static void forget_token(tml_pull *p) {
    memset(p->token, 0, sizeof p->token);
    memset(p->head, 0, sizeof p->head);
}

static void begin_session(tml_pull *p) {
    p->session = p->config.ops.random(p->config.ops.context);
    p->number = 0;
    p->under_way = p->sending = false;
    p->body_size = p->tx_used = 0;
    p->rx_start = p->rx_used = 0;
    p->status = TML_PULL_GOES_ON;
}

/* Copies what may stand in a header: printable ASCII without a space. */
static bool copy_word(char *to, size_t capacity, const char *from) {
    size_t size = 0;
    for (; from[size] != '\0'; size++) {
        if (size + 1 == capacity || from[size] <= ' ' || from[size] > '~') {
            return false;
        }
        to[size] = from[size];
    }
    to[size] = '\0';
    return size != 0;
}

bool tml_pull_begin(tml_pull *pull, const char *host, uint16_t port, uint32_t index, const char *token) {
    const tml_http_config http = {
        .host = pull->host,
        .port = port,
        .now_ms = pull->config.ops.now_ms,
        .context = pull->config.ops.context,
        .buffer = pull->config.io,
        .buffer_size = pull->config.io_size,
    };
    tml_pull_end(pull);
    if (port == 0 || !copy_word(pull->host, sizeof pull->host, host) ||
        !copy_word(pull->token, sizeof pull->token, token)) {
        forget_token(pull);
        return false;
    }
    tml_http_init(&pull->http, &http);
    pull->index = index;
    pull->failures = 0;
    pull->pause_ms = 0;
    begin_session(pull);
    return true;
}

void tml_pull_end(tml_pull *pull) {
    tml_http_close(&pull->http);
    pull->status = TML_PULL_STOPPED;
    forget_token(pull);
}

/* ---- exchanges ---- */

static void write_head(tml_pull *p) {
    /* Longest: 166 characters, and host and token. */
    _Static_assert(sizeof p->head > 166 + TML_PULL_HOST + TML_PULL_TOKEN, "the head of a request would not fit");
    bool numbered = strchr(p->host, ':') != NULL; /* an IPv6 address */
    tml_text head = tml_text_in(p->head, sizeof p->head);
    tml_text_add(&head, "POST /v1/boards/");
    tml_text_number(&head, p->index);
    tml_text_add(&head, "/");
    tml_text_hex32(&head, p->session);
    tml_text_add(&head, "/");
    tml_text_number(&head, p->number);
    tml_text_add(&head, numbered ? " HTTP/1.1\r\nHost: [" : " HTTP/1.1\r\nHost: ");
    tml_text_add(&head, p->host);
    tml_text_add(&head, numbered ? "]:" : ":");
    tml_text_number(&head, p->http.config.port);
    tml_text_add(&head, "\r\nAuthorization: Bearer ");
    tml_text_add(&head, p->token);
    tml_text_add(&head, "\r\nContent-Type: application/octet-stream\r\nContent-Length: ");
    tml_text_number(&head, p->body_size);
    tml_text_add(&head, "\r\n\r\n");
}

static void begin_exchange(tml_pull *p) {
    p->body_size = p->tx_used;
    p->got = 0;
    p->under_way = true;
    p->sending = false; /* after the pause, which is 0 unless a session was refused */
}

static void try_exchange(tml_pull *p) {
    tml_http_request request = {.data = {(const uint8_t *)p->head, p->config.tx}, .size = {0, p->body_size}};
    write_head(p);
    request.size[0] = strlen(p->head);
    p->seen = 0;
    p->sending = true;
    p->http.no_connecting = p->last_words;
    tml_http_start(&p->http, &request);
}

static void hold_back(tml_pull *p, uint32_t ms) {
    p->sending = false;
    p->pause_ms = ms;
    p->since_ms = now_ms(p);
}

/* Half of it is chance, so that boards which lost the same host do not come back in step. */
static void back_off(tml_pull *p) {
    uint32_t longest = p->failures < 6 ? BACK_OFF_MS << p->failures : BACK_OFF_MOST_MS;
    longest = smaller(longest, BACK_OFF_MOST_MS);
    p->failures = (uint8_t)smaller(p->failures + 1U, UINT8_MAX);
    uint32_t chance = p->last_words ? 0 : p->config.ops.random(p->config.ops.context) % (longest / 2 + 1);
    hold_back(p, longest / 2 + chance);
}

static void fail(tml_pull *p, int why) {
    if (p->failures == 0) {
        note(p, why == TML_HTTP_NO_ADDRESS      ? "the name of the host is not known; trying again"
                : why == TML_HTTP_NO_CONNECTION ? "no connection to the host; trying again"
                : why == TML_HTTP_TIMEOUT       ? "the host does not answer in time; trying again"
                : why == TML_HTTP_LOST          ? "the connection was lost; trying again"
                                                : "the host does not answer as it should; trying again");
    }
    p->counters.retries++;
    back_off(p);
}

static void finish(tml_pull *p, tml_pull_status status, const char *why) {
    p->status = status;
    p->under_way = p->sending = false;
    tml_http_close(&p->http);
    if (status != TML_PULL_REPLACED) {
        forget_token(p);
    }
    note(p, why);
}

void tml_pull_again(tml_pull *pull) {
    bool at_once = pull->number != 0;
    begin_session(pull);
    pull->pause_ms = 0;
    if (!at_once) {
        /* A host that refuses even the beginning shall not be asked in a tight loop. */
        back_off(pull);
    }
}

static void complete(tml_pull *p) {
    if (p->seen != p->got) {
        finish(p, TML_PULL_REPLACED, "the host repeats an answer differently; beginning anew");
        return;
    }
    if (p->failures != 0) {
        note(p, "the host answers");
    }
    p->failures = 0;
    p->pause_ms = 0;
    p->under_way = p->sending = false;
    p->number++;
    p->counters.exchanges++;
    p->tx_used -= p->body_size;
    memmove(p->config.tx, p->config.tx + p->body_size, p->tx_used);
    p->body_size = 0;
}

static void judge(tml_pull *p) {
    switch (p->http.answer.status) {
    case 200:
        if (p->http.answer.has_length) {
            complete(p);
        } else {
            fail(p, TML_HTTP_MALFORMED);
        }
        break;
    case 401:
        finish(p, TML_PULL_UNAUTHORISED, "the host does not know the token (401); waiting to be provisioned");
        break;
    case 409:
        finish(p, TML_PULL_REPLACED, "the host has begun anew (409)");
        break;
    case 410:
        finish(p, TML_PULL_OVER, "the run is over (410)");
        break;
    case 503:
        p->counters.retries++;
        hold_back(p, NOT_READY_MS);
        break;
    default:
        if (p->http.answer.status == 408 || p->http.answer.status >= 500) {
            fail(p, TML_HTTP_MALFORMED);
        } else {
            finish(p, TML_PULL_REFUSED, "the host refuses the exchange; stopped");
        }
    }
}

static void put(tml_pull *p, const uint8_t *data, size_t size) {
    size_t at = (p->rx_start + p->rx_used) % p->config.rx_size;
    size_t first = size < p->config.rx_size - at ? size : p->config.rx_size - at;
    memcpy(p->config.rx + at, data, first);
    memcpy(p->config.rx, data + first, size - first);
    p->rx_used += size;
}

/* Takes what is new of a piece, as far as there is room. Returns whether all of it was taken. */
static bool take(tml_pull *p, const uint8_t *data, size_t size) {
    if (p->http.answer.status != 200) {
        tml_http_taken(&p->http, size);
        return true;
    }
    size_t old = p->got - p->seen < size ? p->got - p->seen : size;
    size_t room = p->config.rx_size - p->rx_used;
    size_t fresh = size - old < room ? size - old : room;
    put(p, data + old, fresh);
    p->seen += old + fresh;
    p->got += fresh;
    tml_http_taken(&p->http, old + fresh);
    return old + fresh == size;
}

/* Goes as far as that is possible without waiting. */
static void pump(tml_pull *p) {
    while (p->status == TML_PULL_GOES_ON) {
        if (!p->under_way) {
            if (p->tx_used == 0) {
                return;
            }
            begin_exchange(p);
        }
        if (!p->sending) {
            if (p->pause_ms != 0 && now_ms(p) - p->since_ms < p->pause_ms) {
                return;
            }
            try_exchange(p);
        }
        const uint8_t *data;
        size_t size;
        uint32_t connects = p->http.connects;
        int found = tml_http_step(&p->http, &data, &size);
        if (p->http.connects != connects && connects != 0) {
            p->counters.reconnects++;
        }
        if (found == TML_HTTP_WAITS) {
            return;
        }
        if (found == TML_HTTP_BODY) {
            if (!take(p, data, size)) {
                return;
            }
        } else if (found == TML_HTTP_DONE) {
            judge(p);
        } else {
            fail(p, found);
        }
    }
}

/* Waits until pump may get further; false if the caller's `idle` wants to end that. */
static bool await(tml_pull *p, uint32_t timeout_ms) {
    uint32_t wait = smaller(timeout_ms, TML_PULL_IDLE_MS);
    if (p->under_way && !p->sending && p->pause_ms != 0) {
        uint32_t passed = now_ms(p) - p->since_ms;
        wait = smaller(wait, passed < p->pause_ms ? p->pause_ms - passed : 0);
    }
    if (wait != 0) {
        tml_http_wait(&p->http, wait);
    }
    return p->last_words || p->config.ops.idle == NULL || !p->config.ops.idle(p->config.ops.context);
}

/* ---- for the core ---- */

int32_t tml_pull_read(tml_pull *pull, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    uint32_t begin = now_ms(pull);
    uint32_t wait = 0;
    for (;;) {
        if (timeout_ms != 0 && pull->rx_used == 0 && !pull->under_way && pull->status == TML_PULL_GOES_ON) {
            /* Nothing to do and nothing to say: ask for work. Not while there is some, as the host may keep an empty
             * exchange waiting, and then results would have to wait too. */
            begin_exchange(pull);
        }
        pump(pull);
        if (pull->status != TML_PULL_GOES_ON) {
            return TML_ERR_CLOSED;
        }
        if (pull->rx_used != 0 && capacity != 0) {
            break;
        }
        uint32_t passed = now_ms(pull) - begin;
        wait = passed < timeout_ms ? timeout_ms - passed : 0;
        if (!await(pull, wait)) {
            return TML_ERR_CLOSED;
        }
        if (wait == 0) {
            return 0;
        }
    }
    size_t size = pull->rx_used < capacity ? pull->rx_used : capacity;
    size = size < INT32_MAX ? size : INT32_MAX;
    size_t first = size < pull->config.rx_size - pull->rx_start ? size : pull->config.rx_size - pull->rx_start;
    memcpy(data, pull->config.rx + pull->rx_start, first);
    memcpy(data + first, pull->config.rx, size - first);
    pull->rx_start = (pull->rx_start + size) % pull->config.rx_size;
    pull->rx_used -= size;
    return (int32_t)size;
}

int tml_pull_write(tml_pull *pull, const uint8_t *data, size_t size) {
    for (;;) {
        if (pull->status != TML_PULL_GOES_ON) {
            return TML_ERR_CLOSED;
        }
        size_t room = pull->config.tx_size - pull->tx_used;
        size_t now = size < room ? size : room;
        memcpy(pull->config.tx + pull->tx_used, data, now);
        pull->tx_used += now;
        data += now;
        size -= now;
        pump(pull);
        if (size == 0) {
            return pull->status == TML_PULL_GOES_ON ? TML_OK : TML_ERR_CLOSED;
        }
        if (pull->last_words) {
            return TML_ERR_IO;
        }
        if (pull->tx_used == pull->config.tx_size && !await(pull, TML_PULL_IDLE_MS)) {
            return TML_ERR_CLOSED;
        }
    }
}

void tml_pull_step(tml_pull *pull) {
    pump(pull);
}

bool tml_pull_flush(tml_pull *pull, uint32_t timeout_ms) {
    uint32_t begin = now_ms(pull);
    for (;;) {
        pump(pull);
        if (pull->tx_used == 0) {
            return true;
        }
        uint32_t passed = now_ms(pull) - begin;
        if (pull->status != TML_PULL_GOES_ON || passed >= timeout_ms || !await(pull, timeout_ms - passed)) {
            return false;
        }
    }
}

void tml_pull_last_words(tml_pull *pull) {
    pull->last_words = true;
    pull->http.no_connecting = true;
}
