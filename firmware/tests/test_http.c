/* The parser of HTTP answers: every answer in every way of being cut, and what must be refused. */
#include "blocks.h"
#include "check.h"
#include "tml_http_answer.h"

typedef struct {
    const char *name;
    const char *text;
    int result; /* TML_HTTP_WAITS: the text is not enough */
    int status;
    const char *body;
    bool keep_alive, has_length;
    size_t rest; /* bytes that it leaves */
} example;

#define LONG48 "123456789012345678901234567890123456789012345678"
#define LONG288 LONG48 LONG48 LONG48 LONG48 LONG48 LONG48

static const example examples[] = {
    {"plain", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", TML_HTTP_DONE, 200, "hello", true, true, 0},
    {"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", TML_HTTP_DONE, 200, "", true, true, 0},
    {"rest", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", TML_HTTP_DONE, 200, "he", true, true, 3},
    {"LF", "HTTP/1.1 404 No\nContent-Length: 1\n\nx", TML_HTTP_DONE, 404, "x", true, true, 0},
    {"no reason", "HTTP/1.1 503\r\ncontent-length:0\r\n\r\n", TML_HTTP_DONE, 503, "", true, true, 0},
    {"blanks", "HTTP/1.1 200 OK\r\nCONTENT-LENGTH: \t 3 \t\r\n\r\nabc", TML_HTTP_DONE, 200, "abc", true, true, 0},
    {"same twice", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", TML_HTTP_DONE, 200, "abc",
     true, true, 0},
    {"close", "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\na", TML_HTTP_DONE, 200, "a", false,
     true, 0},
    {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", TML_HTTP_DONE, 200, "a", false, true, 0},
    {"1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", TML_HTTP_DONE, 200, "a",
     true, true, 0},
    {"no length", "HTTP/1.1 200 OK\r\n\r\nabc", TML_HTTP_DONE, 200, "", false, false, 3},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", TML_HTTP_DONE, 204, "", true, true, 0},
    {"100", "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", TML_HTTP_DONE, 200,
     "a", true, true, 0},
    {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00A;x=y\r\n0123456789\r\n0\r\n\r\n",
     TML_HTTP_DONE, 200, "abc0123456789", true, true, 0},
    {"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nDigest: x\r\nA: b\r\n\r\nrest",
     TML_HTTP_DONE, 200, "a", true, true, 4},
    {"long lines", "HTTP/1.1 200 " LONG288 "\r\nX-" LONG288 ": a\r\nY: " LONG288 "\r\nContent-Length: 1\r\n\r\na",
     TML_HTTP_DONE, 200, "a", true, true, 0},
    {"half a line", "HTTP/1.1 200 OK\r\nContent-Le", TML_HTTP_WAITS, 200, "", true, false, 0},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", TML_HTTP_WAITS, 200, "hel", true, true, 0},
    {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", TML_HTTP_WAITS, 200,
     "hello", true, true, 0},
    {"other protocol", "HTTP/2.0 200 OK\r\n", TML_HTTP_MALFORMED, 0, "", false, false, 0},
    {"no status", "HTTP/1.1 2x0 OK\r\n", TML_HTTP_MALFORMED, 0, "", false, false, 0},
    {"status of four", "HTTP/1.1 2000 OK\r\n", TML_HTTP_MALFORMED, 0, "", false, false, 0},
    {"status below 100", "HTTP/1.1 099 OK\r\n", TML_HTTP_MALFORMED, 0, "", false, false, 0},
    {"short", "HTTP/1.1 20\r\n", TML_HTTP_MALFORMED, 0, "", false, false, 0},
    {"empty line first", "\r\nHTTP/1.1 200 OK\r\n", TML_HTTP_MALFORMED, 0, "", false, false, 17},
    {"CR alone", "HTTP/1.1 200 OK\rX", TML_HTTP_MALFORMED, 0, "", false, false, 0},
    {"no colon", "HTTP/1.1 200 OK\r\nnonsense\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"no name", "HTTP/1.1 200 OK\r\n: x\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"blank before colon", "HTTP/1.1 200 OK\r\nContent-Length : 4\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"continued line", "HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n", TML_HTTP_MALFORMED, 200, "", true,
     false, 0},
    {"sign", "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"list", "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"none", "HTTP/1.1 200 OK\r\nContent-Length:\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"largest", "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", TML_HTTP_WAITS, 200, "", true, true, 0},
    {"too large", "HTTP/1.1 200 OK\r\nContent-Length: 1073741825\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"wraps", "HTTP/1.1 200 OK\r\nContent-Length: 4294967297\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"both", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", TML_HTTP_MALFORMED, 200, "",
     true, false, 0},
    {"coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
     TML_HTTP_MALFORMED, 200, "", true, false, 0},
    {"chunk without size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;x\r\n", TML_HTTP_MALFORMED, 200, "",
     true, true, 0},
    {"chunk too large", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000001\r\n", TML_HTTP_MALFORMED, 200,
     "", true, true, 0},
    {"chunk too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", TML_HTTP_MALFORMED, 200, "a",
     true, true, 0},
};

/* Feeds in pieces of at most `step` bytes, each an exact block. */
static int feed(tml_http_answer *answer, const char *text, size_t step, char *body, size_t *body_size, size_t *rest) {
    size_t size = strlen(text);
    size_t at = 0;
    int found = TML_HTTP_WAITS;
    tml_http_answer_init(answer);
    *body_size = 0;
    while (found == TML_HTTP_WAITS && at < size) {
        size_t piece = size - at < step ? size - at : step;
        unsigned char *copy = exact_copy(text + at, piece);
        size_t taken = 0;
        do {
            size_t used;
            const uint8_t *data;
            size_t data_size;
            found = tml_http_answer_take(answer, copy + taken, piece - taken, &used, &data, &data_size);
            taken += used;
            if (found == TML_HTTP_BODY) {
                memcpy(body + *body_size, data, data_size);
                *body_size += data_size;
            }
        } while (found == TML_HTTP_BODY);
        free(copy);
        at += taken;
    }
    *rest = size - at;
    return found;
}

static void test_examples(void) {
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const example *e = &examples[i];
        check_name = e->name;
        for (size_t step = 1; step <= strlen(e->text); step++) {
            tml_http_answer answer;
            char body[2048];
            size_t size;
            size_t rest;
            int found = feed(&answer, e->text, step, body, &size, &rest);
            CHECK(found == e->result);
            CHECK(answer.status == e->status);
            CHECK(size == strlen(e->body) && memcmp(body, e->body, size) == 0);
            CHECK(rest == e->rest || found == TML_HTTP_MALFORMED);
            CHECK(answer.keep_alive == e->keep_alive && answer.has_length == e->has_length);
        }
    }
    check_name = "";
}

/* As many bytes of header as are allowed, and one more. */
static void test_header_limit(void) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
    for (size_t more = 0; more < 2; more++) {
        size_t size = TML_HTTP_HEADER_LIMIT + more;
        char *text = (char *)exact_block(size + 1);
        char body[1];
        tml_http_answer answer;
        size_t got;
        size_t rest;
        memset(text, 'x', size);
        memcpy(text, head, sizeof head - 1);
        memcpy(text + size - 4, "\r\n\r\n", 5);
        CHECK(feed(&answer, text, 1000, body, &got, &rest) == (more == 0 ? TML_HTTP_DONE : TML_HTTP_MALFORMED));
        free(text);
    }
}

/* An endless row of "going on" is a header without an end. */
static void test_endless_continue(void) {
    static const char going_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    tml_http_answer answer;
    int found = TML_HTTP_WAITS;
    unsigned rounds = 0;
    tml_http_answer_init(&answer);
    while (found == TML_HTTP_WAITS && rounds++ < 1000) {
        size_t used;
        const uint8_t *data;
        size_t size;
        found = tml_http_answer_take(&answer, (const uint8_t *)going_on, sizeof going_on - 1, &used, &data, &size);
    }
    CHECK(found == TML_HTTP_MALFORMED && rounds == TML_HTTP_HEADER_LIMIT / (sizeof going_on - 1) + 1);
}

/* Chunks are no header: there may be any number of them. */
static void test_many_chunks(void) {
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    enum { CHUNKS = 5000, EACH = 6 };
    char *text = (char *)exact_block(sizeof head + CHUNKS * EACH + 5);
    char *body = (char *)exact_block(CHUNKS);
    tml_http_answer answer;
    size_t got;
    size_t rest;
    memcpy(text, head, sizeof head - 1);
    for (size_t i = 0; i < CHUNKS; i++) {
        memcpy(text + sizeof head - 1 + i * EACH, "1\r\nz\r\n", EACH);
    }
    memcpy(text + sizeof head - 1 + CHUNKS * EACH, "0\r\n\r\n", 6);
    CHECK(feed(&answer, text, 777, body, &got, &rest) == TML_HTTP_DONE && got == CHUNKS && rest == 0);
    free(text);
    free(body);
}

int main(void) {
    test_examples();
    test_header_limit();
    test_endless_continue();
    test_many_chunks();
    return check_result("test_http");
}
