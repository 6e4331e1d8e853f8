/* The frames of a session over HTTP.md section 2, as the two operations `read` and `write` of a tml_port.
 *
 * What the core writes is kept until the host has confirmed it, and posted at once if no exchange is under way; the
 * exchange then goes on beside the core's computing, whenever the core looks at the line. What comes goes into a ring,
 * for which the host keeps room (the window of PROTOCOL.md). An exchange that fails is repeated, for ever, with the
 * same number and bytes, so that nothing is lost or doubled. One thread uses it. */
#ifndef TML_PULL_H
#define TML_PULL_H

#include "tml.h"
#include "tml_http.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TML_PULL_HOST 128U /* characters of a host's name, and of a token, with the zero */
#define TML_PULL_TOKEN 128U
#define TML_PULL_IDLE_MS 20U /* between calls of `idle` while waiting */

typedef struct {
    void *context;
    uint32_t (*now_ms)(void *context); /* since whenever; may wrap */
    uint32_t (*random)(void *context); /* 32 bits that nobody can foresee */
    /* Optional: called now and then while read or write waits. True ends the wait: they return TML_ERR_CLOSED. */
    bool (*idle)(void *context);
    /* Optional: a line for people, when pulling ends, begins to fail, or works again. */
    void (*note)(void *context, const char *text);
} tml_pull_ops;

typedef struct {
    tml_pull_ops ops;
    uint8_t *rx; /* the ring: rx_window of the session */
    size_t rx_size;
    uint8_t *tx; /* what the core wrote: at least one result, better those of a window; at most 4 MiB */
    size_t tx_size;
    uint8_t *io; /* what a socket delivers at once: 64 or more, better 1 KB or more */
    size_t io_size;
} tml_pull_config;

typedef enum {
    TML_PULL_GOES_ON = 0,
    TML_PULL_STOPPED,      /* tml_pull_end was called, or tml_pull_begin never */
    TML_PULL_REPLACED,     /* 409: begin anew */
    TML_PULL_OVER,         /* 410 */
    TML_PULL_UNAUTHORISED, /* 401 */
    TML_PULL_REFUSED,      /* 400, 404, 413 and whatever else will not get better by itself */
} tml_pull_status;

typedef struct {
    uint64_t exchanges; /* complete ones */
    uint64_t retries;   /* exchanges begun again */
    uint64_t reconnects;
} tml_pull_counters;

/* The caller's; `status` and `counters` are for others to read. */
typedef struct {
    tml_pull_config config;
    tml_pull_status status;
    tml_pull_counters counters;
    char host[TML_PULL_HOST];
    char token[TML_PULL_TOKEN];
    uint32_t index;
    uint32_t session;
    uint32_t number;
    tml_http http;
    bool under_way;    /* an exchange has been begun and not completed, ... */
    bool sending;      /* ... and is being tried just now, ... */
    uint32_t pause_ms; /* ... or else is tried again when so much time has passed ... */
    uint32_t since_ms; /* ... since then */
    uint8_t failures;  /* in a row */
    size_t body_size;  /* tx[0, body_size) is the exchange's body, ... */
    size_t tx_used;    /* ... and tx[body_size, tx_used) waits for the next one */
    size_t got;        /* bytes of this exchange's answer that are in the ring, or were, ... */
    size_t seen;       /* ... and so many of them have come again in this attempt */
    size_t rx_start, rx_used;
    bool last_words;
    char head[512];
} tml_pull;

/* Nothing is pulled yet. */
void tml_pull_init(tml_pull *pull, const tml_pull_config *config);
/* Begins a new session with a server, and forgets what was under way. False if a text is too long or malformed. */
bool tml_pull_begin(tml_pull *pull, const char *host, uint16_t port, uint32_t index, const char *token);
/* Begins a new session with the same server, after TML_PULL_REPLACED. */
void tml_pull_again(tml_pull *pull);
/* Stops, and wipes the token. */
void tml_pull_end(tml_pull *pull);

/* As in tml_port.h; TML_ERR_CLOSED when `status` is no longer TML_PULL_GOES_ON, or `idle` has ended the wait. */
int32_t tml_pull_read(tml_pull *pull, uint8_t *data, size_t capacity, uint32_t timeout_ms);
int tml_pull_write(tml_pull *pull, const uint8_t *data, size_t size);
/* Lets the exchange go on, without waiting and without calling `idle`: while the core computes and does not read. */
void tml_pull_step(tml_pull *pull);
/* Waits until the host has all that was written, at most `timeout_ms`, for a board that is about to go down. Returns
 * whether the host has it. */
bool tml_pull_flush(tml_pull *pull, uint32_t timeout_ms);
/* For a fault handler: from now on write does not wait for room, nothing is called but the clock, and a connection that
 * is lost is not made again. */
void tml_pull_last_words(tml_pull *pull);

#ifdef __cplusplus
}
#endif

#endif
