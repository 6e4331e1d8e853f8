/* libFuzzer: any bytes at the console, cut anywhere. Commands get whole arguments, answers are lines of known words
 * only, and no line stays in memory. */
#include "blocks.h"
#include "fuzz.h"
#include "tml_console.h"

typedef struct {
    tml_console console;
    uint32_t sum; /* of all that was run and said, with its order */
} board;

static void add(board *b, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        b->sum = b->sum * 31U + (uint8_t)text[i];
    }
}

static void hear(void *context, const char *data, size_t size) {
    static const char *const said[] = {
        "tinyml: ok wifi\r\n",
        "tinyml: ok server\r\n",
        "tinyml: ok stop\r\n",
        "tinyml: error unknown no such command\r\n",
        "tinyml: error wifi wrong number of arguments, or one that is malformed\r\n",
        "tinyml: error server wrong number of arguments, or one that is malformed\r\n",
        "tinyml: error stop wrong number of arguments, or one that is malformed\r\n",
        "tinyml: error wifi the line is too long, or not printable ASCII\r\n",
        "tinyml: error server the line is too long, or not printable ASCII\r\n",
        "tinyml: error stop the line is too long, or not printable ASCII\r\n",
    };
    bool known = false;
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        known = known || (size == strlen(said[i]) && memcmp(data, said[i], size) == 0);
    }
    REQUIRE(known);
    add(context, data, size);
}

static bool on_any(void *context, uint8_t count, const char *const *arguments, tml_text *answer) {
    REQUIRE(answer->size == 0 && count <= 4);
    for (uint8_t i = 0; i < count; i++) {
        size_t size = strlen(arguments[i]);
        REQUIRE(size != 0 && size <= TML_CONSOLE_LINE);
        add(context, arguments[i], size + 1);
    }
    return true;
}

static const tml_command commands[] = {
    {"wifi", 1, 2, on_any, NULL},
    {"server", 4, 4, on_any, NULL},
    {"stop", 0, 0, on_any, NULL},
    {NULL, 0, 0, NULL, NULL},
};

static uint32_t run(const uint8_t *data, size_t size, size_t step) {
    board *b = (board *)(void *)exact_block(sizeof(board));
    b->sum = 0;
    tml_console_init(&b->console, commands, b, hear);
    for (size_t at = 0; at < size; at += step) {
        size_t piece = size - at < step ? size - at : step;
        uint8_t *copy = exact_copy(data + at, piece);
        tml_console_feed(&b->console, copy, piece);
        free(copy);
    }
    for (size_t i = b->console.size; i < sizeof b->console.line; i++) {
        REQUIRE(b->console.line[i] == '\0');
    }
    uint32_t sum = b->sum;
    free(b);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size != 0) {
        REQUIRE(run(data + 1, size - 1, size) == run(data + 1, size - 1, 1U + data[0] % 16U));
    }
    return 0;
}
