#include "tml_http_answer.h"

#include <string.h>

enum { STATUS_LINE, HEADER, CONTENT, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, DONE, MALFORMED };

void tml_http_answer_init(tml_http_answer *answer) {
    *answer = (tml_http_answer){.state = STATUS_LINE};
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Is `text` (of any case) `word`? */
static bool is_word(const char *text, size_t size, const char *word) {
    size_t i = 0;
    while (i < size && word[i] != '\0' && lower(text[i]) == word[i]) {
        i++;
    }
    return i == size && word[i] == '\0';
}

/* Digits of a base, nothing else, at most the limit of a body. */
static bool number(const char *text, size_t size, uint32_t base, uint32_t *value) {
    uint32_t result = 0;
    for (size_t i = 0; i < size; i++) {
        char c = lower(text[i]);
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                                                : base;
        if (digit >= base || result > (TML_HTTP_BODY_LIMIT - digit) / base) {
            return false;
        }
        result = result * base + digit;
    }
    *value = result;
    return size != 0;
}

/* "HTTP/1.1 200 OK"; the reason may be missing. */
static bool status_line(tml_http_answer *a) {
    static const char version[] = "HTTP/1.";
    enum { MINOR = 7, STATUS = 9, END = 12 };
    uint32_t status = 0;
    if (a->line_size < END || memcmp(a->line, version, MINOR) != 0 || a->line[MINOR] < '0' || a->line[MINOR] > '9' ||
        a->line[MINOR + 1] != ' ' || !number(a->line + STATUS, END - STATUS, 10, &status) || status < 100 ||
        (a->line_size > END && a->line[END] != ' ')) {
        return false;
    }
    a->status = (int)status;
    a->keep_alive = a->line[MINOR] != '0';
    return true;
}

static bool header_line(tml_http_answer *a) {
    const char *line = a->line;
    size_t size = a->line_size;
    size_t name = 0;
    while (name < size && line[name] != ':') {
        name++;
    }
    /* A blank in front continues the line before, one before the colon hides it: RFC 9112, section 5. */
    if (name == size) {
        return a->line_cut; /* a long name, of no interest */
    }
    if (name == 0 || is_blank(line[0]) || is_blank(line[name - 1])) {
        return false;
    }
    const char *value = line + name + 1;
    size_t value_size = size - name - 1;
    while (value_size != 0 && is_blank(*value)) {
        value++;
        value_size--;
    }
    while (value_size != 0 && is_blank(value[value_size - 1])) {
        value_size--;
    }
    if (is_word(line, name, "content-length")) {
        uint32_t length;
        if (a->line_cut || !number(value, value_size, 10, &length) || (a->has_content && length != a->content)) {
            return false;
        }
        a->has_content = true;
        a->content = length;
    } else if (is_word(line, name, "transfer-encoding")) {
        if (a->line_cut || a->chunked || !is_word(value, value_size, "chunked")) {
            return false;
        }
        a->chunked = true;
    } else if (is_word(line, name, "connection")) {
        if (a->line_cut || is_word(value, value_size, "close")) {
            a->keep_alive = false;
        } else if (is_word(value, value_size, "keep-alive")) {
            a->keep_alive = true;
        }
    }
    return true;
}

/* The empty line behind the header. */
static uint8_t header_end(tml_http_answer *a) {
    if (a->chunked && a->has_content) {
        return MALFORMED; /* two lengths: whoever is in between may have taken the other */
    }
    if (a->status < 200) {
        /* Only "going on": the answer is still to come. What it costs counts on. */
        uint16_t spent = a->header_bytes;
        tml_http_answer_init(a);
        a->header_bytes = spent;
        return STATUS_LINE;
    }
    if (a->status == 204 || a->status == 304) {
        a->has_length = true;
        return DONE;
    }
    a->has_length = a->chunked || a->has_content;
    a->keep_alive = a->keep_alive && a->has_length;
    a->left = a->content;
    return a->chunked ? CHUNK_SIZE : a->left != 0 ? CONTENT : DONE;
}

static uint8_t chunk_line(tml_http_answer *a) {
    size_t size = 0;
    while (size < a->line_size && a->line[size] != ';' && !is_blank(a->line[size])) {
        size++;
    }
    if ((size == a->line_size && a->line_cut) || !number(a->line, size, 16, &a->left)) {
        return MALFORMED;
    }
    return a->left != 0 ? CHUNK : TRAILER;
}

/* What comes after a line, by its kind. */
static uint8_t line_end(tml_http_answer *a) {
    switch (a->state) {
    case STATUS_LINE:
        return status_line(a) ? HEADER : MALFORMED;
    case HEADER:
        return a->line_size == 0 ? header_end(a) : header_line(a) ? HEADER : MALFORMED;
    case CHUNK_SIZE:
        return chunk_line(a);
    case CHUNK_END:
        return a->line_size == 0 ? CHUNK_SIZE : MALFORMED;
    default:
        return a->line_size == 0 ? DONE : TRAILER;
    }
}

static void take_line_byte(tml_http_answer *a, char c) {
    bool after_return = a->return_seen;
    a->return_seen = c == '\r';
    /* Lines around chunks are no header, and there may be many: only their own length is bounded. */
    bool framing = a->state == CHUNK_SIZE || a->state == CHUNK_END;
    if ((!framing && ++a->header_bytes > TML_HTTP_HEADER_LIMIT) || (framing && a->line_cut) ||
        (after_return && c != '\n') || c == '\0') {
        a->state = MALFORMED;
    } else if (c == '\n') {
        a->state = line_end(a);
        a->line_size = 0;
        a->line_cut = false;
    } else if (c != '\r') {
        if (a->line_size < sizeof a->line) {
            a->line[a->line_size++] = c;
        } else {
            a->line_cut = true;
        }
    }
}

int tml_http_answer_take(tml_http_answer *answer, const uint8_t *data, size_t size, size_t *used, const uint8_t **body,
                         size_t *body_size) {
    size_t at = 0;
    *body = NULL;
    *body_size = 0;
    while (answer->state < DONE && at < size) {
        if (answer->state != CONTENT && answer->state != CHUNK) {
            take_line_byte(answer, (char)data[at++]);
            continue;
        }
        size_t piece = size - at < answer->left ? size - at : answer->left;
        answer->left -= (uint32_t)piece;
        if (answer->left == 0) {
            answer->state = answer->state == CHUNK ? CHUNK_END : DONE;
        }
        *body = data + at;
        *body_size = piece;
        *used = at + piece;
        return TML_HTTP_BODY;
    }
    *used = at;
    return answer->state == DONE ? TML_HTTP_DONE : answer->state == MALFORMED ? TML_HTTP_MALFORMED : TML_HTTP_WAITS;
}
