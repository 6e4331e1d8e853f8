/* A line console on a stream of bytes: HTTP.md section 4 without the commands, which are the caller's table.
 * No heap, no stdio, no global state. Nothing of a line is ever repeated in an answer, and its buffer is wiped once the
 * command has run: a line may hold a password. */
#ifndef TML_CONSOLE_H
#define TML_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tml_text.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TML_CONSOLE_LINE 512U   /* characters of a line, its end not counted */
#define TML_CONSOLE_ANSWER 768U /* of an answer, prefix and line end included; what is longer is cut */
#define TML_CONSOLE_ARGUMENTS 6U

typedef struct {
    const char *name;
    uint8_t least, most; /* arguments, decoded; none is ever empty */
    /* Returns whether it was done; `answer` takes what follows "ok NAME" or "error NAME", if anything. The arguments
     * are wiped when it returns. */
    bool (*run)(void *context, uint8_t count, const char *const *arguments, tml_text *answer);
    /* Optional: called once the answer "ok" has been written, e.g. to restart. */
    void (*after)(void *context);
} tml_command;

typedef struct {
    const tml_command *commands; /* ended by a name of NULL */
    void *context;               /* of the commands, and of: */
    void (*write)(void *context, const char *data, size_t size);
    char line[TML_CONSOLE_LINE + 1];
    size_t size;
    bool spoilt; /* the line is too long, or holds what is not printable ASCII */
    bool busy;   /* a command is running: what it makes the caller feed is taken when it has ended, or lost */
} tml_console;

void tml_console_init(tml_console *console, const tml_command *commands, void *context,
                      void (*write)(void *context, const char *data, size_t size));
/* Takes received bytes and runs the commands that they complete. Calls from within a command are ignored. */
void tml_console_feed(tml_console *console, const uint8_t *data, size_t size);
/* Says "tinyml: KIND TEXT", e.g. of kind "note"; not from within a command. */
void tml_console_say(const tml_console *console, const char *kind, const char *text);

/* Overwrites memory in a way that the compiler may not leave out. */
void tml_wipe(void *data, size_t size);
/* A decimal number of at most `limit`, digits only; false if it is none. */
bool tml_parse_number(const char *text, uint32_t limit, uint32_t *value);

#ifdef __cplusplus
}
#endif

#endif
