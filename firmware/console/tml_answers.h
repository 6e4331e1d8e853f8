/* What consoles of all boards answer alike (HTTP.md section 4). */
#ifndef TML_ANSWERS_H
#define TML_ANSWERS_H

#include "tml.h"
#include "tml_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* " NAME=VALUE", the value percent-encoded, so that spaces separate. */
void tml_answer_value(tml_text *out, const char *name, const char *value);
/* "NAME=N". */
void tml_answer_count(tml_text *out, const char *name, uint64_t value);
/* What `identity` answers, and a board says when it has started. */
void tml_answer_identity(tml_text *out, const tml_session *session, const char *mac);

#ifdef __cplusplus
}
#endif

#endif
