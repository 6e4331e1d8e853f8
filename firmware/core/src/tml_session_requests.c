/* What the host may ask, PROTOCOL.md section 3. */
#include <string.h>

#include "tml_session_parts.h"

/* Each returns TML_OK, an error to be sent, or the line's own failure. */

static int on_hello(tml_session *session, const tml_frame *frame) {
    static const char *const preprocess_names[] = {"none", "lut", "l2axis1"};
    const tml_config *c = &session->config;
    tml_identity identity = {
        .clock = c->port->clock,
        .encodings = session->encodings,
        .features = c->load != NULL ? TML_FEATURE_LOAD : 0U,
        .tick_hz = c->port->tick_hz,
        .rx_window = c->rx_window,
        .max_frame = (uint32_t)c->frame_size,
        .arena_used = c->engine->arena_used(c->engine),
        .arena_capacity = c->engine->arena_capacity(c->engine),
        .flash = c->port->flash_bytes,
        .ram = c->port->ram_bytes,
        .firmware_sha256 = session->firmware_sha256,
        .model_sha256 = session->model->sha256,
        .input = &session->model->input,
        .output = &session->model->output,
        .firmware_version = c->firmware_version,
        .board = c->port->board,
        .chip = c->port->chip,
        .engine = c->engine->name,
        .model = session->model->name,
        .preprocess = preprocess_names[session->model->preprocess.kind],
    };
    if (tml_decode_hello(frame->payload, frame->size, &identity.session) != TML_OK) {
        return TML_ERR_BAD_PAYLOAD;
    }
    session->load_total = 0; /* a package of which a part has come is forgotten; one that came whole stays */
    size_t size = tml_encode_identity(tml_reply_payload(session), tml_reply_room(session), &identity);
    return tml_reply(session, TML_IDENTITY, frame->seq, size);
}

static int on_infer(tml_session *session, const tml_frame *frame) {
    tml_infer infer;
    if (tml_decode_infer(frame->payload, frame->size, (tml_type)frame->type, &infer) != TML_OK) {
        return TML_ERR_BAD_PAYLOAD;
    }
    if (infer.encoding > TML_TENSOR_DEFLATE || (session->encodings & (1U << infer.encoding)) == 0) {
        return TML_ERR_BAD_ENCODING;
    }
    if (session->engine_status != TML_OK) {
        return TML_ERR_ENGINE;
    }
    return frame->type == TML_CANARY ? tml_session_canary(session, frame->seq, &infer)
                                     : tml_session_batch(session, frame->seq, &infer);
}

static int on_stats(tml_session *session, const tml_frame *frame) {
    const tml_port *port = session->config.port;
    const uint64_t counted[] = {
        [TML_STAT_UPTIME_MS] = port->uptime_ms(port->context), [TML_STAT_INFERENCES] = session->inferences,
        [TML_STAT_FRAMES_RECEIVED] = session->frames_received, [TML_STAT_FRAMES_DROPPED] = session->frames_dropped,
        [TML_STAT_BYTES_RECEIVED] = session->bytes_received,   [TML_STAT_BYTES_SENT] = session->bytes_sent,
    };
    uint8_t *payload = tml_reply_payload(session);
    size_t size = 1;
    if (frame->size != 0) {
        return TML_ERR_BAD_PAYLOAD;
    }
    payload[0] = 0;
    for (unsigned key = 1; key <= TML_STAT_COUNT; key++) {
        uint64_t value;
        if (key <= TML_STAT_BYTES_SENT) {
            value = counted[key];
        } else if (port->stat == NULL || !port->stat(port->context, (tml_stat)key, &value)) {
            continue;
        }
        tml_encode_stat(payload + size, (uint8_t)key, value);
        size += TML_STAT_BYTES;
        payload[0]++;
    }
    return tml_reply(session, TML_STATS_RESULT, frame->seq, size);
}

static int on_reset(tml_session *session, const tml_frame *frame) {
    const tml_config *c = &session->config;
    uint8_t kind;
    if (tml_decode_reset(frame->payload, frame->size, &kind) != TML_OK) {
        return TML_ERR_BAD_PAYLOAD;
    }
    if (kind == 0) {
        session->engine_status = c->engine->init(c->engine);
        if (session->engine_status != TML_OK) {
            return TML_ERR_ENGINE;
        }
    }
    tml_reply_payload(session)[0] = kind;
    int status = tml_reply(session, TML_RESET_DONE, frame->seq, 1);
    if (kind == 1 && status == TML_OK) {
        c->port->log(c->port->context, "restarting, as the host asked");
        c->port->restart(c->port->context);
    }
    return status;
}

static int on_echo(tml_session *session, const tml_frame *frame) {
    if (frame->size > tml_reply_room(session)) {
        return TML_ERR_TOO_LARGE;
    }
    memcpy(tml_reply_payload(session), frame->payload, frame->size);
    return tml_reply(session, TML_ECHO_RESULT, frame->seq, frame->size);
}

int tml_session_answer(tml_session *session, const tml_frame *frame) {
    switch (frame->type) {
    case TML_HELLO:
        return on_hello(session, frame);
    case TML_INFER:
    case TML_CANARY:
        return on_infer(session, frame);
    case TML_STATS:
        return on_stats(session, frame);
    case TML_RESET:
        return on_reset(session, frame);
    case TML_ECHO:
        return on_echo(session, frame);
    case TML_LOAD:
        return session->config.load != NULL ? session->config.load(session, frame) : TML_ERR_UNKNOWN_TYPE;
    default:
        return TML_ERR_UNKNOWN_TYPE;
    }
}
