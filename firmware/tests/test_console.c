/* The console: lines, arguments, answers, and that nothing of a line stays or is repeated. */
#include "blocks.h"
#include "check.h"
#include "tml_console.h"

typedef struct {
    tml_console console;
    char said[4096];
    size_t size;
    uint8_t count;
    char arguments[TML_CONSOLE_ARGUMENTS][TML_CONSOLE_LINE + 1];
    const char *first; /* where it was, which is the console's own line */
    unsigned runs, afters;
    size_t said_before_after;
    bool feeds;
} board;

static void hear(void *context, const char *data, size_t size) {
    board *b = context;
    if (size < sizeof b->said - b->size) {
        memcpy(b->said + b->size, data, size);
        b->size += size;
        b->said[b->size] = '\0';
    }
}

static bool on_take(void *context, uint8_t count, const char *const *arguments, tml_text *answer) {
    board *b = context;
    b->runs++;
    b->count = count;
    b->first = count != 0 ? arguments[0] : NULL;
    for (uint8_t i = 0; i < count; i++) {
        memcpy(b->arguments[i], arguments[i], strlen(arguments[i]) + 1);
    }
    if (b->feeds) {
        static const uint8_t again[] = "tinyml take again\n";
        tml_console_feed(&b->console, again, sizeof again - 1);
    }
    tml_text_add(answer, "taken ");
    tml_text_number(answer, count);
    return true;
}

static bool on_refuse(void *context, uint8_t count, const char *const *arguments, tml_text *answer) {
    (void)context;
    (void)count;
    (void)arguments;
    tml_text_add(answer, "not now");
    return false;
}

static bool on_long(void *context, uint8_t count, const char *const *arguments, tml_text *answer) {
    (void)context;
    (void)count;
    (void)arguments;
    for (unsigned i = 0; i < 1000; i++) {
        tml_text_char(answer, 'l');
    }
    return true;
}

static bool on_restart(void *context, uint8_t count, const char *const *arguments, tml_text *answer) {
    (void)context;
    (void)count;
    (void)arguments;
    (void)answer;
    return true;
}

static void after_restart(void *context) {
    board *b = context;
    b->afters++;
    b->said_before_after = b->size;
}

static const tml_command commands[] = {
    {"take", 1, 4, on_take, NULL}, {"refuse", 0, 0, on_refuse, after_restart},
    {"long", 0, 0, on_long, NULL}, {"restart", 0, 0, on_restart, after_restart},
    {NULL, 0, 0, NULL, NULL},
};

static board *start(void) {
    board *b = (board *)(void *)exact_block(sizeof(board));
    memset(b, 0, sizeof *b);
    tml_console_init(&b->console, commands, b, hear);
    return b;
}

/* Feeds a text in pieces of `step` bytes; afterwards nothing of it is left in the console. */
static board *given(const char *text, size_t step) {
    board *b = start();
    size_t size = strlen(text);
    for (size_t at = 0; at < size; at += step) {
        size_t piece = size - at < step ? size - at : step;
        unsigned char *copy = exact_copy(text + at, piece);
        tml_console_feed(&b->console, copy, piece);
        free(copy);
    }
    for (size_t i = 0; i < sizeof b->console.line; i++) {
        CHECK(b->console.line[i] == '\0');
    }
    return b;
}

#define REFUSED(name) "tinyml: error " name " wrong number of arguments, or one that is malformed\r\n"
#define SPOILT(name) "tinyml: error " name " the line is too long, or not printable ASCII\r\n"
#define UNKNOWN "tinyml: error unknown no such command\r\n"

static const struct {
    const char *line;
    const char *said;
    const char *arguments[4];
} lines[] = {
    {"tinyml take a\n", "tinyml: ok take taken 1\r\n", {"a"}},
    {"tinyml take a b c d\r\n", "tinyml: ok take taken 4\r\n", {"a", "b", "c", "d"}},
    {"\r\n\n\rtinyml take a\r", "tinyml: ok take taken 1\r\n", {"a"}},
    {"tinyml take my%20net p%C3%A4ss%25%2f\n", "tinyml: ok take taken 2\r\n", {"my net", "p\xC3\xA4ss%/"}},
    {"tinyml refuse\n", "tinyml: error refuse not now\r\n", {NULL}},
    {"tinyml restart\n", "tinyml: ok restart\r\n", {NULL}},
    {"tinyml take\n", REFUSED("take"), {NULL}},
    {"tinyml take a b c d e\n", REFUSED("take"), {NULL}},
    {"tinyml take a b c d e f g h\n", REFUSED("take"), {NULL}},
    {"tinyml restart now\n", REFUSED("restart"), {NULL}},
    {"tinyml take a  b\n", REFUSED("take"), {NULL}},
    {"tinyml take a \n", REFUSED("take"), {NULL}},
    {"tinyml take  a\n", REFUSED("take"), {NULL}},
    {"tinyml take %\n", REFUSED("take"), {NULL}},
    {"tinyml take %4\n", REFUSED("take"), {NULL}},
    {"tinyml take %4 b\n", REFUSED("take"), {NULL}},
    {"tinyml take %G0\n", REFUSED("take"), {NULL}},
    {"tinyml take %00\n", REFUSED("take"), {NULL}},
    {"tinyml secret\n", UNKNOWN, {NULL}},
    {"tinyml tak a\n", UNKNOWN, {NULL}},
    {"tinyml takes a\n", UNKNOWN, {NULL}},
    {"tinyml \n", UNKNOWN, {NULL}},
    {"tinyml take \x80\n", SPOILT("take"), {NULL}},
    {"tinyml take a\tb\n", SPOILT("take"), {NULL}},
    {"tinyml\n", "", {NULL}},
    {"TINYML take a\n", "", {NULL}},
    {" tinyml take a\n", "", {NULL}},
    {"ets Jul 29 2019\r\n\xFF\xFE\r\nrst:0x1\r\n", "", {NULL}},
    {"noise\ntinyml take a\nnoise\n", "tinyml: ok take taken 1\r\n", {"a"}},
    {"tinyml take \x01\ntinyml take a\n", SPOILT("take") "tinyml: ok take taken 1\r\n", {"a"}},
};

static void test_lines(void) {
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        check_name = lines[i].line;
        for (size_t step = 1; step <= strlen(lines[i].line); step++) {
            board *b = given(lines[i].line, step);
            CHECK(strcmp(b->said, lines[i].said) == 0);
            for (uint8_t k = 0; k < 4 && lines[i].arguments[k] != NULL; k++) {
                CHECK(k < b->count && strcmp(b->arguments[k], lines[i].arguments[k]) == 0);
            }
            CHECK(b->runs == (lines[i].arguments[0] != NULL ? 1U : 0U));
            free(b);
        }
    }
    check_name = "";
}

static void test_longest_line(void) {
    char text[TML_CONSOLE_LINE + 3];
    for (size_t more = 0; more < 2; more++) {
        memset(text, 'x', sizeof text);
        memcpy(text, "tinyml take ", 12);
        memcpy(text + TML_CONSOLE_LINE + more, "\n", 2);
        board *b = given(text, 100);
        CHECK(strcmp(b->said, more == 0 ? "tinyml: ok take taken 1\r\n" : SPOILT("take")) == 0);
        CHECK(more != 0 || strlen(b->arguments[0]) == TML_CONSOLE_LINE - 12);
        free(b);
    }
}

/* The arguments lie in the line, which is wiped: where they were is zero afterwards. */
static void test_secrets_are_wiped(void) {
    board *b = start();
    static const uint8_t line[] = "tinyml take s3cret\n";
    tml_console_feed(&b->console, line, sizeof line - 1);
    CHECK(strcmp(b->arguments[0], "s3cret") == 0);
    CHECK(b->first >= b->console.line && b->first < b->console.line + sizeof b->console.line);
    CHECK(b->first[0] == '\0' && b->first[5] == '\0');
    CHECK(strstr(b->said, "s3cret") == NULL);
    free(b);
}

static void test_restart_comes_after_the_answer(void) {
    board *b = given("tinyml restart\n", 3);
    CHECK(b->afters == 1 && b->said_before_after == b->size);
    free(b);
    b = given("tinyml refuse\n", 3);
    CHECK(b->afters == 0);
    free(b);
}

static void test_commands_do_not_nest(void) {
    board *b = start();
    static const uint8_t line[] = "tinyml take a\ntinyml take b\n";
    b->feeds = true;
    tml_console_feed(&b->console, line, sizeof line - 1);
    CHECK(b->runs == 2);
    CHECK(strcmp(b->said, "tinyml: ok take taken 1\r\ntinyml: ok take taken 1\r\n") == 0);
    free(b);
}

static void test_long_answers_are_cut(void) {
    board *b = given("tinyml long\n", 50);
    CHECK(b->size <= TML_CONSOLE_ANSWER && b->size > TML_CONSOLE_ANSWER - 20);
    CHECK(memcmp(b->said, "tinyml: ok long lll", 19) == 0 && memcmp(b->said + b->size - 2, "\r\n", 3) == 0);
    free(b);
}

static void test_say(void) {
    board *b = start();
    tml_console_say(&b->console, "note", "the run is over");
    CHECK(strcmp(b->said, "tinyml: note the run is over\r\n") == 0);
    free(b);
}

static void test_numbers(void) {
    uint32_t value = 7;
    CHECK(tml_parse_number("0", 10, &value) && value == 0);
    CHECK(tml_parse_number("65535", UINT16_MAX, &value) && value == 65535);
    CHECK(tml_parse_number("4294967295", UINT32_MAX, &value) && value == UINT32_MAX);
    CHECK(!tml_parse_number("65536", UINT16_MAX, &value) && !tml_parse_number("4294967296", UINT32_MAX, &value));
    CHECK(!tml_parse_number("", 10, &value) && !tml_parse_number("-1", 10, &value));
    CHECK(!tml_parse_number("1 ", 10, &value) && !tml_parse_number("0x1", 10, &value));
    CHECK(!tml_parse_number("99999999999999999999999999", UINT32_MAX, &value));
}

static void test_text(void) {
    char *buffer = (char *)exact_block(8);
    tml_text text = tml_text_in(buffer, 8);
    tml_text_number(&text, UINT64_MAX);
    CHECK(strcmp(buffer, "1844674") == 0 && text.cut);
    text = tml_text_in(buffer, 8);
    tml_text_hex32(&text, 0x00C0FFEEU);
    CHECK(strcmp(buffer, "00c0ffe") == 0 && text.cut);
    text = tml_text_in(buffer, 8);
    tml_text_number(&text, 0);
    tml_text_add(&text, "12345a");
    CHECK(strcmp(buffer, "012345a") == 0 && !text.cut && text.size == 7);
    free(buffer);
}

int main(void) {
    test_lines();
    test_longest_line();
    test_secrets_are_wiped();
    test_restart_comes_after_the_answer();
    test_commands_do_not_nest();
    test_long_answers_are_cut();
    test_say();
    test_numbers();
    test_text();
    return check_result("test_console");
}
