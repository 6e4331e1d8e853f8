/* Requests to the debugger or emulator: Arm's "Semihosting for AArch32 and AArch64". */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SEMIHOSTING_READ = 1,  /* "rb" */
    SEMIHOSTING_WRITE = 5, /* "wb" */
} semihosting_mode;

/* A handle above 0, or -1. */
int32_t semihosting_open(const char *path, semihosting_mode mode);
/* How many bytes were read; 0 at the end of the file. The whole of `data` may be overwritten: see semihosting.c. */
size_t semihosting_read(int32_t handle, void *data, size_t capacity);
/* How many bytes were written; fewer than asked for is an error of the host. */
size_t semihosting_write(int32_t handle, const void *data, size_t size);
/* Text to the debugger's console. */
void semihosting_print(const char *text);
/* The command line; false if it does not fit. */
bool semihosting_command_line(char *text, size_t capacity);
_Noreturn void semihosting_exit(int status);

#endif
