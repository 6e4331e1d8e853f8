/* Faults on demand, for the tests of the host: wrappers around the engine and the port, so that the core is untouched.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include "tml.h"

#define FAULT_HELP                                                                                                     \
    "  --fault KIND[@N]    misbehave (may be repeated; N counts from 1):\n"                                            \
    "      crash@N abort@N exit@N hang@N   at inference N: SIGSEGV, SIGABRT, exit code 3, endless loop\n"              \
    "      engine-error@N                  inference N fails\n"                                                        \
    "      corrupt-tx@N truncate-tx@N drop-tx@N   damage reply frame N\n"                                              \
    "      corrupt-rx@N                    damage the Nth chunk of received bytes\n"                                   \
    "      state                           scores depend on the inference before\n"                                    \
    "      weights                         one score is wrong by 1, always\n"                                          \
    "      slow=US                         each inference takes US microseconds longer\n"                              \
    "  --fault-once PATH   no fault if PATH exists; it is created when one happens\n"

typedef struct faults faults;

/* The one set of faults of this process. */
faults *faults_new(void);
/* Returns false if the specification is not understood. */
bool faults_add(faults *f, const char *specification);
void faults_once(faults *f, const char *path);
/* Puts the wrappers in front of the port and returns the engine to use instead. Both originals must outlive them. */
tml_engine *faults_wrap(faults *f, tml_port *port, tml_engine *engine, size_t input_bytes, size_t output_bytes);

#endif
