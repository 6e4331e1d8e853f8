/* One HTTP/1.1 request at a time over one kept-alive connection, on BSD sockets, without heap. Nothing here waits but
 * tml_http_wait and the look-up of a name, which has the resolver's own bound (an address is not looked up). */
#ifndef TML_HTTP_H
#define TML_HTTP_H

#include "tml_http_answer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What tml_http_step returns beside the codes of tml_http_answer.h. */
enum {
    TML_HTTP_NO_ADDRESS = -2, /* the host's name is not known */
    TML_HTTP_NO_CONNECTION = -3,
    TML_HTTP_TIMEOUT = -4, /* one of the bounds below */
    TML_HTTP_LOST = -5,    /* the connection ended before the answer was complete */
};

/* Bounds, in milliseconds. */
#ifndef TML_HTTP_CONNECT_MS
#define TML_HTTP_CONNECT_MS 5000U
#endif
#ifndef TML_HTTP_SEND_MS /* without any byte taken */
#define TML_HTTP_SEND_MS 10000U
#endif
#ifndef TML_HTTP_ANSWER_MS /* from the request's last byte to the header's; HTTP.md lets a server wait for 5 s */
#define TML_HTTP_ANSWER_MS 20000U
#endif
#ifndef TML_HTTP_SILENCE_MS /* between bytes of a body */
#define TML_HTTP_SILENCE_MS 10000U
#endif

typedef struct {
    const char *host; /* name or address; the caller's */
    uint16_t port;
    uint32_t (*now_ms)(void *context);
    void *context;
    uint8_t *buffer; /* received bytes; 64 or more */
    size_t buffer_size;
} tml_http_config;

typedef struct {
    const uint8_t *data[2]; /* head and body, the caller's until the answer is complete */
    size_t size[2];
} tml_http_request;

typedef struct {
    tml_http_config config;
    int fd; /* -1: none */
    uint8_t state;
    bool reused;       /* this request goes over a connection that has served another */
    uint32_t attempts; /* to connect; chooses among a name's addresses */
    uint32_t since_ms; /* when what is being waited for began */
    tml_http_request request;
    size_t sent;
    size_t start, end; /* received and not yet taken: buffer[start, end) */
    bool answered;     /* a byte of the answer has come */
    tml_http_answer answer;
    const uint8_t *piece; /* of the body, handed over and not yet taken */
    size_t piece_size;
    uint32_t connects;  /* connections made, ever */
    bool no_connecting; /* set by the caller: a lost connection is not made again */
} tml_http;

void tml_http_init(tml_http *http, const tml_http_config *config);
/* Begins a request; the connection is made if there is none. Not while one is under way. */
void tml_http_start(tml_http *http, const tml_http_request *request);
/* Goes as far as it can without waiting. TML_HTTP_BODY hands over a piece: call tml_http_taken with how much of it was
 * taken. TML_HTTP_DONE: see http->answer. A negative code ends request and connection. */
int tml_http_step(tml_http *http, const uint8_t **body, size_t *body_size);
void tml_http_taken(tml_http *http, size_t size);
/* Waits until tml_http_step may get further, at most `timeout_ms`; also returns early on a signal. */
void tml_http_wait(const tml_http *http, uint32_t timeout_ms);
/* Ends the connection and whatever is under way. */
void tml_http_close(tml_http *http);

#ifdef __cplusplus
}
#endif

#endif
