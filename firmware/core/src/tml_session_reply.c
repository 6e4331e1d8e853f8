/* Frames to the host: replies, errors and log lines. */
#include <string.h>

#include "tml_session_parts.h"

uint8_t *tml_reply_payload(const tml_session *session) {
    return session->config.tx + tml_payload_offset(session->config.tx_size);
}

size_t tml_reply_room(const tml_session *session) {
    return tml_payload_capacity(session->config.tx_size);
}

static int write_bytes(tml_session *session, size_t size) {
    const tml_port *port = session->config.port;
    session->bytes_sent += size;
    return port->write(port->context, session->config.tx, size);
}

int tml_reply(tml_session *session, tml_type type, uint16_t seq, size_t size) {
    return write_bytes(session, tml_frame_encode(session->config.tx, session->config.tx_size, type, seq, size));
}

int tml_reply_error(tml_session *session, uint16_t seq, int error, uint32_t sample_id, const char *text) {
    size_t size = tml_error_frame(session->config.tx, session->config.tx_size, seq, error, sample_id, text);
    return write_bytes(session, size);
}

static const char *engine_words(const tml_engine *engine) {
    const char *words = engine->why != NULL ? engine->why(engine) : "";
    return words[0] != '\0' ? words : "engine failed";
}

const char *tml_describe(const tml_session *session, int error) {
    switch (error) {
    case TML_ERR_BAD_FRAME:
        return "frame with bad COBS, length or CRC";
    case TML_ERR_BAD_VERSION:
        return "this board speaks version 1";
    case TML_ERR_UNKNOWN_TYPE:
        return "unknown message type";
    case TML_ERR_BAD_PAYLOAD:
        return "payload with a bad layout";
    case TML_ERR_TOO_LARGE:
        return "frame longer than max_frame";
    case TML_ERR_BAD_ENCODING:
        return "encoding not offered";
    case TML_ERR_BAD_SAMPLE:
        return "data that is not exactly one sample";
    case TML_ERR_OVERRUN:
        return "receive buffer overflowed";
    default:
        return engine_words(session->config.engine);
    }
}
_Static_assert(TML_PROTOCOL_VERSION == 1, "the text of BAD_VERSION names the version");

int tml_session_log(tml_session *session, const char *text) {
    size_t size = tml_text_size(text, tml_reply_room(session));
    memcpy(tml_reply_payload(session), text, size);
    return tml_reply(session, TML_LOG, 0, size);
}
