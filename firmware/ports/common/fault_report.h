/* A processor fault as a message to the host: text without stdio, and one ERROR frame. Usable in fault handlers. */
#ifndef FAULT_REPORT_H
#define FAULT_REPORT_H

#include "tml.h"

#define FAULT_TEXT 256U /* bytes that a description may have, its end included */

typedef struct {
    char text[FAULT_TEXT];
    size_t size;
} fault_text;

/* Append; what does not fit is left out. The text always ends with a zero. */
void fault_append(fault_text *text, const char *more);
void fault_append_hex(fault_text *text, uintptr_t value); /* 0x and all digits of an address of this processor */

/* Sends a delimiter, which ends whatever frame was under way, and ERROR FAULT with the request and sample that the
 * session is busy with, through the session's port; then logs the text to the port's console. `session` may be NULL
 * or not initialised yet: then it is only logged, if there is a port at all. */
void fault_report(const tml_session *session, const char *text);

#endif
