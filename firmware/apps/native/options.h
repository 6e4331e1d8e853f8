/* The command line of the native firmware. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    const char *tty;
    const char *board;
    const char *chip; /* NULL: this processor */
    const char *mac;  /* twelve lower-case hexadecimal digits */
    const char *once_path;
    uint32_t fd, baud, rx_window, max_frame, digits;
    bool has_fd, console, mlperf, wired, selftest;
} options;

/* Prints it and returns the program's exit code. */
int usage(FILE *to, const char *program);
/* Also adds the planted faults. False if it is not understood; --help ends the program. */
bool parse_options(int argc, char **argv, options *o);

#endif
