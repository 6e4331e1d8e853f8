/* A board at the end of a serial line that carries frames and a console side by side (PROTOCOL.md section 7).
 *
 * What comes is told apart by how it begins: a line "tinyml ..." is a command, everything else is for the session. What
 * goes out: a frame has a zero in front, so that lines that others have printed are never part of it. Portable; what
 * differs from board to board is handed in. */
#ifndef WIRED_H
#define WIRED_H

#include "tml.h"
#include "tml_console.h"
#include "tml_samples.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WIRED_IO 256U  /* bytes that are read at once */
#define WIRED_HELD 8U  /* of the beginning of what may be a command */
#define WIRED_LOG 128U /* characters of a LOG line */

typedef struct {
    void *context;
    /* Optional: called while waiting and between inferences, once per millisecond at most (feeds a watchdog). */
    void (*idle)(void *context);
    /* Optional: the next line that others have logged since the host was heard, which becomes a LOG frame; false if
     * there is none. Before that they may print what they like. */
    bool (*logged)(void *context, char *line, size_t capacity);
    /* Optional: called once, when the first frame has come. */
    void (*heard)(void *context);
    const tml_samples *samples; /* for the self-test; NULL if there are none */
    char mac[13];               /* lower-case hex */
} wired_board;

/* The caller's. */
typedef struct {
    tml_port port; /* to be used in the session's configuration, and to be wrapped (faults.h) */
    tml_console console;
    const wired_board *board;
    const tml_port *inner;
    tml_session *session;
    uint8_t io[WIRED_IO]; /* read and not yet told apart: [io_at, io_end) */
    size_t io_at, io_end;
    uint8_t held[WIRED_HELD];
    size_t held_size;
    enum { WIRED_BEGIN, WIRED_COMMAND, WIRED_FRAME, WIRED_JUNK } state;
    uint32_t served_ms;
    bool linked; /* a frame has come: LOG frames will be understood */
} wired;

/* `port` is the platform's; its write takes all bytes or fails. Both must outlive it. */
void wired_init(wired *w, const wired_board *board, const tml_port *port);
/* Says "ready", and runs the self-test if `selftest`; then serves until the line is closed. `config->port` must be
 * &w->port, or what wraps it. Returns as tml_session_poll does, or TML_ERR_CONFIG from tml_session_init. */
int wired_run(wired *w, tml_session *session, const tml_config *config, bool selftest);

#ifdef __cplusplus
}
#endif

#endif
