#include "tml_console.h"

#include <string.h>

void tml_wipe(void *data, size_t size) {
    volatile uint8_t *at = data;
    while (size != 0) {
        at[--size] = 0;
    }
}

bool tml_parse_number(const char *text, uint32_t limit, uint32_t *value) {
    uint64_t number = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        number = number * 10U + (uint64_t)(*text - '0');
        if (number > limit) {
            return false;
        }
    }
    *value = (uint32_t)number;
    return true;
}

void tml_console_init(tml_console *console, const tml_command *commands, void *context,
                      void (*write)(void *context, const char *data, size_t size)) {
    memset(console, 0, sizeof *console);
    console->commands = commands;
    console->context = context;
    console->write = write;
}

/* ---- answers ---- */

static void send_line(const tml_console *console, tml_text *line) {
    /* A cut line still ends. */
    line->capacity += 2;
    tml_text_add(line, "\r\n");
    console->write(console->context, line->text, line->size);
}

void tml_console_say(const tml_console *console, const char *kind, const char *text) {
    char buffer[TML_CONSOLE_ANSWER];
    tml_text line = tml_text_in(buffer, sizeof buffer - 2);
    tml_text_add(&line, "tinyml: ");
    tml_text_add(&line, kind);
    tml_text_char(&line, ' ');
    tml_text_add(&line, text);
    send_line(console, &line);
}

/* ---- commands ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; false if it is malformed, or if a zero would end the text early. */
static bool decode(char *text) {
    char *out = text;
    while (*text != '\0') {
        if (*text != '%') {
            *out++ = *text++;
            continue;
        }
        int high = hex_digit(text[1]);
        int low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0 || high + low == 0) {
            return false;
        }
        *out++ = (char)(high * 16 + low);
        text += 3;
    }
    *out = '\0';
    return true;
}

/* Cuts at single spaces and decodes. Returns the number of arguments, or -1. */
static int split(char *text, const char **arguments) {
    int count = 0;
    while (text != NULL) {
        char *end = strchr(text, ' ');
        if (end != NULL) {
            *end = '\0';
        }
        if (count == (int)TML_CONSOLE_ARGUMENTS || *text == '\0' || !decode(text)) {
            return -1;
        }
        arguments[count++] = text;
        text = end == NULL ? NULL : end + 1;
    }
    return count;
}

static const tml_command *find(const tml_console *console, const char *name, size_t size) {
    const tml_command *command = console->commands;
    while (command->name != NULL && (strlen(command->name) != size || memcmp(command->name, name, size) != 0)) {
        command++;
    }
    return command->name != NULL ? command : NULL;
}

static void answer(const tml_console *console, const char *kind, const char *name, const char *text) {
    char buffer[TML_CONSOLE_ANSWER];
    tml_text line = tml_text_in(buffer, sizeof buffer);
    tml_text_add(&line, name);
    if (*text != '\0') {
        tml_text_char(&line, ' ');
        tml_text_add(&line, text);
    }
    tml_console_say(console, kind, buffer);
}

static void run(tml_console *console, const tml_command *command, char *rest) {
    const char *arguments[TML_CONSOLE_ARGUMENTS] = {NULL};
    char buffer[TML_CONSOLE_ANSWER];
    tml_text text = tml_text_in(buffer, sizeof buffer);
    int count = split(rest, arguments);
    if (count < 0 || count < command->least || count > command->most) {
        answer(console, "error", command->name, "wrong number of arguments, or one that is malformed");
        return;
    }
    bool done = command->run(console->context, (uint8_t)count, arguments, &text);
    answer(console, done ? "ok" : "error", command->name, buffer);
    if (done && command->after != NULL) {
        command->after(console->context);
    }
}

/* Whatever else comes over a serial line (the noise of a reset, a person's empty line) is not answered. */
static void take_line(tml_console *console) {
    static const char prefix[] = "tinyml ";
    enum { PREFIX = sizeof prefix - 1 };
    console->line[console->size] = '\0';
    if (console->size < PREFIX || memcmp(console->line, prefix, PREFIX) != 0) {
        return;
    }
    char *name = console->line + PREFIX;
    char *space = strchr(name, ' ');
    const tml_command *command = find(console, name, space == NULL ? strlen(name) : (size_t)(space - name));
    /* What is not a command is not repeated: it may be a password in the wrong place. */
    if (command == NULL) {
        answer(console, "error", "unknown", "no such command");
    } else if (console->spoilt) {
        answer(console, "error", command->name, "the line is too long, or not printable ASCII");
    } else {
        run(console, command, space == NULL ? NULL : space + 1);
    }
}

void tml_console_feed(tml_console *console, const uint8_t *data, size_t size) {
    if (console->busy) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        char c = (char)data[i];
        if (c == '\r' || c == '\n') {
            console->busy = true;
            take_line(console);
            tml_wipe(console->line, sizeof console->line);
            console->size = 0;
            console->spoilt = console->busy = false;
        } else if (c < ' ' || c > '~' || console->size == TML_CONSOLE_LINE) {
            console->spoilt = true;
        } else {
            console->line[console->size++] = c;
        }
    }
}
