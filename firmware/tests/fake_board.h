/* A session with a scripted port and a small engine, for test_session.c and the fuzzer. All its memory is exact blocks.
 */
#ifndef FAKE_BOARD_H
#define FAKE_BOARD_H

#include "tml.h"

enum { FAKE_PIXELS = 12, FAKE_SCORES = 3, FAKE_RX = 256, FAKE_FRAME = 200, FAKE_TX = 700, FAKE_STORE = 1024 };

typedef struct {
    tml_engine engine; /* first: the board is found from it */
    tml_port port;
    tml_model model;
    tml_session session;
    uint8_t *rx, *frame, *tx, *input, *output, *store;

    const uint8_t *incoming; /* what the port still has to deliver, ... */
    size_t incoming_size;
    size_t chunk;         /* ... at most so many bytes per read (0: all) */
    size_t deliver_after; /* bytes that arrive only once inferences have been made */
    int32_t next_read;    /* a negative status to return once, ... */
    int32_t late_read;    /* ... and one to return once inferences have been made */

    uint8_t sent[1 << 14];
    size_t sent_size;
    int write_status;
    int init_status;
    int load_status;
    const uint8_t *loaded;      /* the engine's model file; NULL is its own */
    const tml_model *described; /* ... and what it was said to be */
    const char *words;          /* of the engine on its failures */
    size_t loaded_size;
    unsigned inits, invokes, restarts, logs;
    unsigned fail_invoke; /* the number of the inference that fails, from 1 */
    uint32_t now_ms;
    uint32_t ms_per_invoke;
    uint64_t ticks_now;
    uint64_t ticks_per_invoke;
} fake_board;

/* Returns what tml_session_init said. */
int fake_board_new(fake_board *board);
void fake_board_free(fake_board *board);
/* Adjust between these two: */
void fake_board_setup(fake_board *board);
int fake_board_start(fake_board *board);
/* Hands bytes to the session and polls until they are used up; returns the last poll's status. */
int fake_board_feed(fake_board *board, const uint8_t *data, size_t size);

#endif
