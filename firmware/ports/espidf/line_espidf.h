/* The console's UART as the line to the host, which frames and text share. */
#ifndef LINE_ESPIDF_H
#define LINE_ESPIDF_H

#include "tml_port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Takes the UART; `window` bytes can be received unread. Once, on the core that shall have its interrupts. */
void espidf_line_init(size_t window);
/* Fills in read and write, and lost bytes in the statistics. */
void espidf_line_port(tml_port *port);

/* As in wired.h: from `heard` on what ESP-IDF logs is kept for `logged`, at most eight lines at a time. */
void espidf_line_heard(void *context);
bool espidf_line_logged(void *context, char *line, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
