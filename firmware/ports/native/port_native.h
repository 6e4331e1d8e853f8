/* A Linux process as a board: a socket or a (pseudo) terminal as the line, CLOCK_MONOTONIC as the clock, stderr as the
 * console. */
#ifndef PORT_NATIVE_H
#define PORT_NATIVE_H

#include "tml.h"

typedef struct {
    int fd;
    char **argv; /* to start again with */
    uint64_t started_ns;
} native_line;

/* Takes an open socket over. Returns 0 or an errno. */
int native_open_fd(native_line *line, int fd);
/* Opens a terminal in raw mode; `baud` is ignored by pseudo terminals. Returns 0 or an errno. */
int native_open_tty(native_line *line, const char *path, unsigned long baud);

/* Fills in the table of operations. */
void native_port_init(tml_port *port, native_line *line, char **argv);

/* For a line that does not send at once: called around the report of a fatal signal, in its handler. */
typedef struct {
    void (*before)(void *context);
    void (*after)(void *context);
    void *context;
} native_fault_line;

/* From now on a fatal signal is reported to the host as ERROR FAULT before the process dies of it. The
 * session, and the line unless it is NULL, must outlive it. */
void native_report_faults(const tml_session *session, const native_fault_line *line);

/* Ends this process within a second of its parent's death, whatever it is doing. */
void native_die_with_parent(void);

#endif
