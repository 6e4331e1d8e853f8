/* clang-format off */
#include "tml_sockets.h"
/* clang-format on */
#include "tml_http.h"

#include <string.h>

#include "tml_text.h"

enum { IDLE, OPENING, CONNECTING, SENDING, ANSWERING };

/* What a part of tml_http_step returns to go on with the next one. */
enum { GO_ON = 100 };

static uint32_t now_ms(const tml_http *http) {
    return http->config.now_ms(http->config.context);
}

static void enter(tml_http *http, uint8_t state) {
    http->state = state;
    http->since_ms = now_ms(http);
}

static bool too_long(const tml_http *http, uint32_t limit_ms) {
    return now_ms(http) - http->since_ms >= limit_ms;
}

static bool would_wait(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

void tml_http_init(tml_http *http, const tml_http_config *config) {
    memset(http, 0, sizeof *http);
    http->config = *config;
    http->fd = -1;
}

static void disconnect(tml_http *http) {
    if (http->fd >= 0) {
        (void)close(http->fd);
    }
    http->fd = -1;
    http->start = http->end = 0;
}

void tml_http_close(tml_http *http) {
    disconnect(http);
    http->state = IDLE;
}

/* Ends request and connection. */
static int failed(tml_http *http, int why) {
    tml_http_close(http);
    return why;
}

void tml_http_start(tml_http *http, const tml_http_request *request) {
    http->request = *request;
    http->sent = 0;
    http->answered = false;
    http->piece_size = 0;
    http->reused = http->fd >= 0;
    tml_http_answer_init(&http->answer);
    enter(http, http->reused ? SENDING : OPENING);
}

/* A server may end a connection that it has kept, just when we use it again: that is no failure of the server's. */
static int lost(tml_http *http) {
    if (!http->reused || http->answered) {
        return failed(http, TML_HTTP_LOST);
    }
    disconnect(http);
    http->reused = false;
    http->sent = 0;
    enter(http, OPENING);
    return GO_ON;
}

/* ---- the connection ---- */

static const struct addrinfo *choose(const struct addrinfo *list, uint32_t attempt) {
    uint32_t count = 0;
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        count++;
    }
    for (uint32_t skip = attempt % count; skip != 0; skip--) {
        list = list->ai_next;
    }
    return list;
}

/* Begins to connect; returns the socket, or -1. */
static int begin_connecting(const struct addrinfo *address) {
    const int on = 1;
    int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0) {
        return -1;
    }
#ifdef FD_CLOEXEC
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
    /* Requests are written whole: waiting for more to send would only cost time. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int flags = fcntl(fd, F_GETFL, 0);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0 &&
        (connect(fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS)) {
        return fd;
    }
    (void)close(fd);
    return -1;
}

static int open_connection(tml_http *http) {
    char port[8];
    tml_text text = tml_text_in(port, sizeof port);
    tml_text_number(&text, http->config.port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    if (http->no_connecting) {
        return failed(http, TML_HTTP_NO_CONNECTION);
    }
    if (getaddrinfo(http->config.host, port, &hints, &list) != 0 || list == NULL) {
        return failed(http, TML_HTTP_NO_ADDRESS);
    }
    /* A name may have several addresses, of which not all answer: the next attempt takes the next one. */
    http->fd = begin_connecting(choose(list, http->attempts++));
    freeaddrinfo(list);
    if (http->fd < 0) {
        return failed(http, TML_HTTP_NO_CONNECTION);
    }
    enter(http, CONNECTING);
    return GO_ON;
}

static int await_connection(tml_http *http) {
    struct pollfd ready = {.fd = http->fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    if (poll(&ready, 1, 0) <= 0) {
        return too_long(http, TML_HTTP_CONNECT_MS) ? failed(http, TML_HTTP_NO_CONNECTION) : TML_HTTP_WAITS;
    }
    if (getsockopt(http->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        return failed(http, TML_HTTP_NO_CONNECTION);
    }
    http->connects++;
    enter(http, SENDING);
    return GO_ON;
}

void tml_http_wait(const tml_http *http, uint32_t timeout_ms) {
    /* With nothing to watch this only waits: lwIP refuses no entries, and ESP-IDF no array. */
    struct pollfd ready = {.fd = http->state == IDLE ? -1 : http->fd, .events = POLLIN};
    if (http->state == CONNECTING) {
        ready.events = POLLOUT;
    } else if (http->state == SENDING) {
        ready.events = POLLOUT | POLLIN;
    }
    (void)poll(&ready, 1, timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
}

/* ---- the request ---- */

static size_t request_size(const tml_http *http) {
    return http->request.size[0] + http->request.size[1];
}

/* As one message, so that a small request is one packet. */
static ssize_t send_rest(tml_http *http) {
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    size_t skip = http->sent;
    size_t count = 0;
    for (unsigned i = 0; i < 2; i++) {
        size_t size = http->request.size[i];
        if (skip < size) {
            parts[count].iov_base = (void *)(uintptr_t)(http->request.data[i] + skip);
            parts[count++].iov_len = size - skip;
        }
        skip = skip < size ? 0 : skip - size;
    }
    message.msg_iovlen = 1; /* whose type is not everywhere the same */
    if (count == 2) {
        message.msg_iovlen = 2;
    }
    return sendmsg(http->fd, &message, TML_SEND_FLAGS);
}

/* Returns the bytes that came, 0 at the connection's end, -1 if there are none now, -2 if it is broken. */
static int receive(tml_http *http) {
    size_t room = http->config.buffer_size < INT32_MAX ? http->config.buffer_size : INT32_MAX;
    ssize_t got = recv(http->fd, http->config.buffer, room, 0);
    if (got > 0) {
        http->start = 0;
        http->end = (size_t)got;
        http->answered = true;
        return (int)got;
    }
    return got == 0 ? 0 : would_wait() ? -1 : -2;
}

static int send_request(tml_http *http) {
    ssize_t sent = send_rest(http);
    if (sent > 0) {
        http->sent += (size_t)sent;
        enter(http, http->sent == request_size(http) ? ANSWERING : SENDING);
        return GO_ON;
    }
    if (sent < 0 && !would_wait()) {
        /* A server that refuses may have said so before it hung up. */
        return receive(http) > 0 ? (enter(http, ANSWERING), GO_ON) : lost(http);
    }
    if (receive(http) > 0) {
        enter(http, ANSWERING);
        return GO_ON;
    }
    return too_long(http, TML_HTTP_SEND_MS) ? failed(http, TML_HTTP_TIMEOUT) : TML_HTTP_WAITS;
}

/* ---- the answer ---- */

static int take_answer(tml_http *http) {
    bool in_body = http->answer.has_length;
    size_t used;
    int found = tml_http_answer_take(&http->answer, http->config.buffer + http->start, http->end - http->start, &used,
                                     &http->piece, &http->piece_size);
    http->start += used;
    if (!in_body && http->answer.has_length) {
        http->since_ms = now_ms(http);
    }
    return found;
}

static int await_answer(tml_http *http) {
    for (;;) {
        if (http->piece_size != 0) {
            return TML_HTTP_BODY;
        }
        int found = take_answer(http);
        if (found == TML_HTTP_BODY) {
            return found;
        }
        if (found == TML_HTTP_MALFORMED) {
            return failed(http, found);
        }
        if (found == TML_HTTP_DONE) {
            http->state = IDLE;
            /* Nothing may follow that was not asked for, and a request that was not read whole is not over. */
            if (!http->answer.keep_alive || http->start != http->end || http->sent != request_size(http)) {
                disconnect(http);
            }
            return found;
        }
        int got = receive(http);
        if (got == 0 || got == -2) {
            return lost(http);
        }
        if (got < 0) {
            uint32_t limit = http->answer.has_length ? TML_HTTP_SILENCE_MS : TML_HTTP_ANSWER_MS;
            return too_long(http, limit) ? failed(http, TML_HTTP_TIMEOUT) : TML_HTTP_WAITS;
        }
    }
}

void tml_http_taken(tml_http *http, size_t size) {
    http->piece += size;
    http->piece_size -= size;
    /* A caller without room keeps the server waiting, which is not the server's fault. */
    http->since_ms = now_ms(http);
}

int tml_http_step(tml_http *http, const uint8_t **body, size_t *body_size) {
    int status;
    do {
        switch (http->state) {
        case OPENING:
            status = open_connection(http);
            break;
        case CONNECTING:
            status = await_connection(http);
            break;
        case SENDING:
            status = send_request(http);
            break;
        case ANSWERING:
            status = await_answer(http);
            break;
        default:
            status = TML_HTTP_WAITS;
        }
    } while (status == GO_ON);
    *body = http->piece;
    *body_size = http->piece_size;
    return status;
}
