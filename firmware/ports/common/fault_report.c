#include "fault_report.h"

#include <string.h>

void fault_append(fault_text *text, const char *more) {
    while (*more != '\0' && text->size + 1 < sizeof text->text) {
        text->text[text->size++] = *more++;
    }
    text->text[text->size] = '\0';
}

void fault_append_hex(fault_text *text, uintptr_t value) {
    char digits[2 + 2 * sizeof value + 1] = "0x";
    for (size_t i = 0; i < 2 * sizeof value; i++) {
        digits[2 + i] = "0123456789abcdef"[(value >> (8 * sizeof value - 4 - 4 * i)) & 15U];
    }
    digits[sizeof digits - 1] = '\0';
    fault_append(text, digits);
}

void fault_report(const tml_session *session, const char *text) {
    static const uint8_t delimiter = 0;
    static uint8_t frame[FAULT_TEXT + 64]; /* the stack may be what is broken */
    if (session == NULL || session->config.port == NULL) {
        return;
    }
    const tml_port *port = session->config.port;
    size_t size = tml_error_frame(frame, sizeof frame, session->busy_seq, TML_ERR_FAULT, session->busy_sample, text);
    if (port->write(port->context, &delimiter, 1) == TML_OK) {
        (void)port->write(port->context, frame, size);
    }
    port->log(port->context, text);
}
