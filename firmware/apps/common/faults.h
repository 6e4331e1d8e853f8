/* Faults on demand, for the tests of the host: wrappers around the engine and the port, so that the core is untouched.
 * Freestanding; what differs from board to board is handed in. */
#ifndef FAULTS_H
#define FAULTS_H

#include "tml.h"

/* A specification is KIND@N (N counts from 1), KIND#ID, or the bare KIND; "slow=US" takes a time.
 *   deadly kinds of the board @N #ID       at inference N, or whenever sample ID is inferred
 *   engine-error@N #ID                     the inference fails
 *   corrupt-tx@N truncate-tx@N drop-tx@N   damage reply frame N
 *   corrupt-rx@N                           damage the Nth chunk of received bytes
 *   state                                  scores depend on the inference before
 *   weights                                one score is wrong by 1, always
 *   slow=US                                each inference takes US microseconds longer, if the board can wait */

/* One way of this board to die; need not return. */
typedef struct {
    const char *name;
    void (*happen)(void);
} fault_death;

typedef struct {
    const fault_death *deaths; /* ended by a name of NULL */
    /* May this fault happen now? Called when its turn has come; NULL: always. `what` is its specification. */
    bool (*may_happen)(const char *what);
    void (*wait_us)(uint32_t us); /* NULL: "slow" is not understood */
} fault_board;

/* Forgets what was added before; `board` must outlive the faults. */
void faults_init(const fault_board *board);
/* Returns false if the specification is not understood, or if there is no room for another. It must outlive the faults.
 */
bool faults_add(const char *specification);
/* Puts the wrappers in front of the port and returns the engine to use instead of `engine`; the same engine if no fault
 * was added. Everything handed in must outlive it; `session` is the one that will run on them. */
tml_engine *faults_wrap(tml_port *port, tml_engine *engine, const tml_model *model, const tml_session *session);

#endif
