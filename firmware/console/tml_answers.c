#include "tml_answers.h"

void tml_answer_value(tml_text *out, const char *name, const char *value) {
    static const char digits[] = "0123456789ABCDEF";
    tml_text_char(out, ' ');
    tml_text_add(out, name);
    tml_text_char(out, '=');
    for (; *value != '\0'; value++) {
        uint8_t c = (uint8_t)*value;
        if (c > ' ' && c <= '~' && c != '%') {
            tml_text_char(out, (char)c);
        } else {
            tml_text_char(out, '%');
            tml_text_char(out, digits[c >> 4U]);
            tml_text_char(out, digits[c & 15U]);
        }
    }
}

void tml_answer_count(tml_text *out, const char *name, uint64_t value) {
    tml_text_add(out, name);
    tml_text_char(out, '=');
    tml_text_number(out, value);
}

void tml_answer_identity(tml_text *out, const tml_session *session, const char *mac) {
    const uint8_t *model = session->model->sha256; /* which may have been uploaded */
    tml_text_add(out, "protocol=1");
    tml_answer_value(out, "board", session->config.port->board);
    tml_answer_value(out, "chip", session->config.port->chip);
    tml_answer_value(out, "engine", session->config.engine->name);
    tml_answer_value(out, "firmware", session->config.firmware_sha256);
    tml_text_add(out, " model=");
    for (size_t i = 0; i < 32; i += 4) {
        tml_text_hex32(out, (uint32_t)model[i] << 24U | (uint32_t)model[i + 1] << 16U | (uint32_t)model[i + 2] << 8U |
                                model[i + 3]);
    }
    tml_answer_value(out, "mac", mac);
}
