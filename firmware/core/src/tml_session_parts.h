/* What the files of the session share; not for applications. */
#ifndef TML_SESSION_PARTS_H
#define TML_SESSION_PARTS_H

#include "tml.h"

/* ---- tml_session_reply.c: frames to the host ---- */

/* Where a reply's payload is written before tml_reply, and how much fits there. */
uint8_t *tml_reply_payload(const tml_session *session);
size_t tml_reply_room(const tml_session *session);
/* Sends the payload as one frame; returns TML_OK or the line's failure. */
int tml_reply(tml_session *session, tml_type type, uint16_t seq, size_t size);
int tml_reply_error(tml_session *session, uint16_t seq, int error, uint32_t sample_id, const char *text);
/* What an error means, for a person; of the engine's last one in the engine's own words, if it has any. */
const char *tml_describe(const tml_session *session, int error);

/* ---- tml_session.c: bytes from the host ---- */

/* Returns how many bytes came (0 also if there is no room for them), or the port's error. */
int32_t tml_session_read(tml_session *session, uint32_t timeout_ms);
/* Has the host begun anew while a batch is being computed? Returns 1, 0 or the line's failure. */
int tml_session_hello_waits(tml_session *session);

/* Makes a model the session's; TML_ERR_CONFIG, and nothing changed, if it makes no sense or its answers do not fit. */
int tml_session_adopt(tml_session *session, const tml_model *model);

/* ---- tml_session_infer.c ---- */

int tml_session_batch(tml_session *session, uint16_t seq, tml_infer *infer);
int tml_session_canary(tml_session *session, uint16_t seq, tml_infer *infer);

/* ---- tml_session_requests.c ---- */

/* Carries out one request; returns TML_OK, an error to be sent, or the line's own failure. */
int tml_session_answer(tml_session *session, const tml_frame *frame);

#endif
