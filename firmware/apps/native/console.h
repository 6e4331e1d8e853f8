/* The console of a Linux process: standard input and output. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include "puller.h"

#define PULL_TX_BYTES (1U << 18)
#define PULL_IO_BYTES (1U << 16)

/* The one there is, with this hardware address. */
const puller_board *console_board(const char *mac);
/* As native_report_faults, for a session that pulls. */
void console_report_faults(puller *p, const tml_session *session);

#endif
