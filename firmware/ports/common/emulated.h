/* What apps/emulated needs of a processor that QEMU emulates; each folder ports/qemu_* implements it. */
#ifndef EMULATED_H
#define EMULATED_H

#include "tml.h"

typedef struct {
    bool serial;       /* the emulated UART is the line; else two files of the host, opened through semihosting */
    const char *in;    /* ... this one to read from, e.g. "/dev/fd/5": a pipe */
    const char *out;   /* ... and this one to write to */
    bool instructions; /* QEMU counts instructions (-icount): that is the clock; else it is the host's time */
} emulated_options;

/* The words that QEMU was told to hand over (-semihosting-config arg=...), separated by blanks and without the
 * program's own name if QEMU puts one there. False if there are none or they do not fit. */
bool emulated_command_line(char *text, size_t capacity);

/* Opens the line and fills in the whole table, names and sizes included. `options` must outlive it.
 * TML_OK, or TML_ERR_IO if the line cannot be opened. */
int emulated_port_init(tml_port *port, const emulated_options *options);

/* From now on a processor fault is reported by report_fault() (fault_report.h) before emulation ends with status 3. */
void emulated_report_faults(const tml_session *session);

/* One line on the emulator's standard error, without a line end; usable before emulated_port_init. */
void emulated_console(const char *text);

/* Ends the emulator with this exit status, 0 to 255. */
_Noreturn void emulated_exit(int status);

/* How the firmware can be made to fail, for tests; none of them returns, if the processor is what it should be. */
void emulated_bad_instruction(void); /* an encoding that is no instruction */
void emulated_wild_write(void);      /* a store to an address where nothing is */
void emulated_overflow_stack(void);  /* recursion without end, in small frames */
void emulated_lock_up(void);         /* a fault inside the fault handler: what the processor does then */

#endif
