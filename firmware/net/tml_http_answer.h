/* The answer of an HTTP/1.1 server, read as it comes (RFC 9112): status line, header, body by Content-Length or in
 * chunks. Keeps 48 bytes of text at most, whatever the server sends. */
#ifndef TML_HTTP_ANSWER_H
#define TML_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TML_HTTP_HEADER_LIMIT 8192U             /* bytes of status line, header lines and trailer together */
#define TML_HTTP_BODY_LIMIT (UINT32_C(1) << 30) /* bytes that a server may announce at once */

enum {
    TML_HTTP_WAITS = 0,      /* everything was taken; more has to come */
    TML_HTTP_BODY = 1,       /* a piece of the body */
    TML_HTTP_DONE = 2,       /* the answer is complete */
    TML_HTTP_MALFORMED = -1, /* not HTTP/1.x, contradictory, or over a limit */
};

typedef struct {
    int status;      /* 200, ...; 0 until the status line has come */
    bool keep_alive; /* the connection can be used again after this answer */
    bool
        has_length; /* the server said how long the body is; without that it counts as empty, and ends the connection */
    uint32_t left;  /* of the body, or of the chunk */
    uint8_t state;  /* the rest is the parser's own */
    bool has_content; /* Content-Length was seen, ... */
    uint32_t content; /* ... and this was it */
    bool chunked;
    bool return_seen; /* a CR, which only a LF may follow */
    uint16_t header_bytes;
    char line[48];
    uint8_t line_size; /* characters kept of this line, ... */
    bool line_cut;     /* ... which has more */
} tml_http_answer;

void tml_http_answer_init(tml_http_answer *answer);

/* Takes bytes; `*used` says how many. With TML_HTTP_BODY the piece is [*body, *body + *body_size) in `data`, and counts
 * as used; call again with the rest. After TML_HTTP_DONE or TML_HTTP_MALFORMED it takes no more. */
int tml_http_answer_take(tml_http_answer *answer, const uint8_t *data, size_t size, size_t *used, const uint8_t **body,
                         size_t *body_size);

#ifdef __cplusplus
}
#endif

#endif
