/* libFuzzer: any bytes as an HTTP answer, cut anywhere. However they are cut, the outcome is the same. */
#include "blocks.h"
#include "fuzz.h"
#include "tml_http_answer.h"

typedef struct {
    int found, status;
    bool keep_alive, has_length;
    size_t used, body;
    uint32_t sum; /* of the body, with its order */
} outcome;

static outcome parse(const uint8_t *data, size_t size, size_t step) {
    outcome o = {.found = TML_HTTP_WAITS};
    tml_http_answer answer;
    tml_http_answer_init(&answer);
    while (o.found == TML_HTTP_WAITS && o.used < size) {
        size_t piece = size - o.used < step ? size - o.used : step;
        uint8_t *copy = exact_copy(data + o.used, piece);
        size_t taken = 0;
        do {
            size_t used;
            size_t body_size;
            const uint8_t *body;
            o.found = tml_http_answer_take(&answer, copy + taken, piece - taken, &used, &body, &body_size);
            REQUIRE(used <= piece - taken);
            REQUIRE(o.found == TML_HTTP_BODY
                        ? body_size != 0 && body >= copy + taken && body + body_size == copy + taken + used
                        : body_size == 0);
            REQUIRE(o.found != TML_HTTP_WAITS || taken + used == piece);
            taken += used;
            for (size_t i = 0; i < body_size; i++) {
                o.sum = o.sum * 31U + body[i];
            }
            o.body += body_size;
        } while (o.found == TML_HTTP_BODY);
        free(copy);
        o.used += taken;
    }
    if (o.found == TML_HTTP_DONE || o.found == TML_HTTP_MALFORMED) {
        size_t used = 1;
        size_t body_size = 1;
        const uint8_t *body;
        REQUIRE(tml_http_answer_take(&answer, data, size, &used, &body, &body_size) == o.found && used == 0 &&
                body_size == 0);
    }
    o.status = answer.status;
    o.keep_alive = answer.keep_alive;
    o.has_length = answer.has_length;
    REQUIRE(o.found != TML_HTTP_DONE || (o.status >= 200 && o.status <= 999));
    REQUIRE(o.found != TML_HTTP_DONE || o.has_length || (o.body == 0 && !o.keep_alive));
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    outcome whole = parse(data + 1, size - 1, size);
    outcome cut = parse(data + 1, size - 1, 1U + data[0] % 16U);
    REQUIRE(whole.found == cut.found && whole.status == cut.status && whole.used == cut.used &&
            whole.body == cut.body && whole.sum == cut.sum && whole.keep_alive == cut.keep_alive &&
            whole.has_length == cut.has_length);
    return 0;
}
