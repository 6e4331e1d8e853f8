/* ports/common/fault_report.c: what a fault handler says, and that nothing is written where there is no room. */
#include "fault_report.h"

#include <string.h>

#include "check.h"

typedef struct {
    uint8_t sent[1024];
    size_t size;
    unsigned writes, fail_at;
    char logged[1024];
} recorder;

static int record(void *context, const uint8_t *data, size_t size) {
    recorder *r = context;
    if (++r->writes == r->fail_at) {
        return TML_ERR_IO;
    }
    memcpy(r->sent + r->size, data, size);
    r->size += size;
    return TML_OK;
}

static void keep_log(void *context, const char *text) {
    recorder *r = context;
    size_t size = strlen(text);
    CHECK(size < sizeof r->logged);
    memcpy(r->logged, text, size + 1);
}

static void appends(void) {
    fault_text text = {.size = 0};
    fault_append(&text, "pc ");
    fault_append_hex(&text, (uintptr_t)0x1234ABCD);
    CHECK(strcmp(text.text, sizeof(uintptr_t) == 8 ? "pc 0x000000001234abcd" : "pc 0x1234abcd") == 0);
    CHECK(text.size == strlen(text.text));
}

static void cuts_what_does_not_fit(void) {
    fault_text text = {.size = 0};
    for (unsigned i = 0; i < 100; i++) {
        fault_append(&text, "abcdefg");
        CHECK(text.size == strlen(text.text));
        CHECK(text.size < FAULT_TEXT);
    }
    CHECK(text.size == FAULT_TEXT - 1);
    fault_append_hex(&text, 1);
    CHECK(text.size == FAULT_TEXT - 1);
}

/* Any text that fits a fault_text arrives whole, behind a delimiter. */
static void sends_one_frame(size_t length) {
    recorder r = {.size = 0};
    const tml_port port = {.context = &r, .write = record, .log = keep_log};
    tml_session session = {.config = {.port = &port}, .busy_seq = 0x1234, .busy_sample = 77};
    char text[FAULT_TEXT];
    memset(text, 'x', sizeof text);
    text[length] = '\0';
    fault_report(&session, text);
    CHECK(strcmp(r.logged, text) == 0);
    CHECK(r.size > 2 && r.sent[0] == 0 && r.sent[r.size - 1] == 0);
    uint8_t buffer[512];
    tml_receiver receiver;
    tml_frame frame;
    size_t used;
    tml_receiver_init(&receiver, buffer, sizeof buffer);
    CHECK(tml_receive(&receiver, r.sent + 1, r.size - 1, &used, &frame) == 1);
    CHECK(used == r.size - 1);
    CHECK(frame.type == TML_ERROR && frame.seq == 0x1234);
    /* PROTOCOL.md, section 3, ERROR: code, reserved, sample, text */
    CHECK(frame.size == 6 + length);
    CHECK(frame.payload[0] == 9 && frame.payload[2] == 77);
    CHECK(memcmp(frame.payload + 6, text, length) == 0);
}

static void logs_where_it_cannot_send(void) {
    recorder r = {.fail_at = 1};
    const tml_port port = {.context = &r, .write = record, .log = keep_log};
    const tml_session session = {.config = {.port = &port}};
    fault_report(&session, "gone");
    CHECK(r.writes == 1);
    CHECK(strcmp(r.logged, "gone") == 0);
}

static void is_silent_without_a_port(void) {
    const tml_session session = {.config = {.port = NULL}};
    fault_report(NULL, "nobody");
    fault_report(&session, "nobody");
    CHECK(true);
}

int main(void) {
    appends();
    cuts_what_does_not_fit();
    for (size_t length = 0; length < FAULT_TEXT; length++) {
        sends_one_frame(length);
    }
    logs_where_it_cannot_send();
    is_silent_without_a_port();
    return check_result("test_fault_report");
}
