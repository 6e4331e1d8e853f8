/* A board that is provisioned over a console and pulls over HTTP: the commands of HTTP.md section 4, and the loop that
 * serves console and session in turn. Portable; what differs from board to board is handed in. */
#ifndef PULLER_H
#define PULLER_H

#include "tml.h"
#include "tml_console.h"
#include "tml_pull.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a platform does. `answer` takes what follows "ok NAME" or, after false, "error NAME"; never a password. */
typedef struct {
    void *context;
    /* What the console has received, without waiting: bytes, 0 for none, negative when it is gone for good. */
    int32_t (*console_read)(void *context, uint8_t *data, size_t capacity);
    void (*console_write)(void *context, const char *data, size_t size);
    uint32_t (*random)(void *context); /* 32 bits that nobody can foresee */
    /* Whether there is a network; if so, adds the board's address in it. */
    bool (*network)(void *context, tml_text *address);
    /* Joins a network within 20 s and answers with the board's address; `password` is NULL for an open one. */
    bool (*wifi)(void *context, const char *ssid, const char *password, tml_text *answer);
    bool (*save)(void *context, tml_text *answer);   /* NULL: there is no place for it */
    bool (*forget)(void *context, tml_text *answer); /* likewise */
    /* Optional: called while waiting, at least every 100 ms unless an inference takes longer (feeds a watchdog). */
    void (*idle)(void *context);
    char mac[13]; /* lower-case hex */
} puller_board;

/* The caller's. */
typedef struct {
    tml_port port; /* to be used in the session's configuration, and to be wrapped (faults.h) */
    tml_pull pull;
    tml_console console;
    const puller_board *board;
    const tml_port *inner;
    tml_session *session;
    uint32_t served_ms; /* when the console last had its turn between inferences */
    bool gone;          /* the console is */
    bool changed;       /* `server` or `stop` was given while the session was busy */
} puller;

/* `port` is the platform's: everything but read and write is taken from it, its context included. `pull` has the
 * buffers; its ops are filled in here. All of it must outlive the puller. */
void puller_init(puller *p, const puller_board *board, const tml_port *port, const tml_pull_config *pull);
/* Says "ready", then serves until the console is gone. `config->port` must be &p->port. Returns TML_OK, or
 * TML_ERR_CONFIG from tml_session_init. */
int puller_run(puller *p, tml_session *session, const tml_config *config);
/* For a fault handler: call the first before the fault is reported to the session's host and the second after it. */
void puller_last_words(puller *p);
void puller_flush(puller *p, uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
