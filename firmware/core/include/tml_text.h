/* Text into a buffer of the caller's, without stdio: what does not fit is left out, and said. */
#ifndef TML_TEXT_H
#define TML_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *text; /* ends with a zero after every call */
    size_t capacity;
    size_t size; /* without the zero */
    bool cut;    /* something did not fit */
} tml_text;

static inline tml_text tml_text_in(char *buffer, size_t capacity) {
    buffer[0] = '\0';
    return (tml_text){.text = buffer, .capacity = capacity, .size = 0, .cut = false};
}

static inline void tml_text_char(tml_text *out, char c) {
    if (out->size + 1 < out->capacity) {
        out->text[out->size++] = c;
        out->text[out->size] = '\0';
    } else {
        out->cut = true;
    }
}

static inline void tml_text_add(tml_text *out, const char *more) {
    while (*more != '\0') {
        tml_text_char(out, *more++);
    }
}

static inline void tml_text_number(tml_text *out, uint64_t value) {
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + (int)(value % 10U));
        value /= 10U;
    } while (value != 0);
    while (count != 0) {
        tml_text_char(out, digits[--count]);
    }
}

/* Eight lower-case digits. */
static inline void tml_text_hex32(tml_text *out, uint32_t value) {
    for (unsigned i = 0; i < 8; i++) {
        tml_text_char(out, "0123456789abcdef"[(value >> (28U - 4U * i)) & 15U]);
    }
}

#endif
