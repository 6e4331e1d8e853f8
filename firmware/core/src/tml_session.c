/* The state machine: PROTOCOL.md section 2. Frames come in, are answered in order, and nothing is kept between them. */
#include <string.h>

#include "tml_session_parts.h"

#define HELLO_ENCODED 13U /* one COBS code, header, session and CRC; without the delimiter */

/* ---- receiving ---- */

int32_t tml_session_read(tml_session *session, uint32_t timeout_ms) {
    const tml_config *c = &session->config;
    size_t waiting = session->rx_end - session->rx_start;
    if (session->rx_start != 0 && waiting <= session->rx_start) {
        memcpy(c->rx, c->rx + session->rx_start, waiting);
        session->scan -= session->rx_start;
        session->segment -= session->rx_start;
        session->rx_start = 0;
        session->rx_end = waiting;
    }
    if (session->rx_end == c->rx_size) {
        return 0;
    }
    int32_t got = c->port->read(c->port->context, c->rx + session->rx_end, c->rx_size - session->rx_end, timeout_ms);
    if (got > 0) {
        session->rx_end += (size_t)got;
        session->bytes_received += (uint64_t)got;
    }
    return got;
}

static bool is_hello(const uint8_t *encoded, size_t size) {
    static const uint8_t delimiter = 0;
    uint8_t buffer[HELLO_ENCODED + 1];
    tml_receiver receiver;
    tml_frame frame;
    size_t used;
    uint32_t id;
    if (size != HELLO_ENCODED) {
        return false;
    }
    tml_receiver_init(&receiver, buffer, sizeof buffer);
    return tml_receive(&receiver, encoded, size, &used, &frame) == 0 &&
           tml_receive(&receiver, &delimiter, 1, &used, &frame) == 1 && frame.type == TML_HELLO &&
           tml_decode_hello(frame.payload, frame.size, &id) == TML_OK;
}

/* Has the host begun anew while a batch is being computed? Then everything before its HELLO is dropped. Looks at most
 * once per millisecond, because asking the port costs more than a small inference. Returns 1, 0 or the line's failure.
 */
int tml_session_hello_waits(tml_session *session) {
    const tml_config *c = &session->config;
    uint32_t now = c->port->uptime_ms(c->port->context);
    if (now == session->scan_ms) {
        return 0;
    }
    session->scan_ms = now;
    int32_t got = tml_session_read(session, 0);
    if (got == TML_ERR_OVERRUN) {
        /* The host is told when this batch is answered. */
        session->overrun = true;
    } else if (got < 0) {
        return got;
    }
    size_t at = session->scan;
    for (;;) {
        at += tml_find_zero(c->rx + at, session->rx_end - at);
        if (at == session->rx_end) {
            break;
        }
        if (is_hello(c->rx + session->segment, at - session->segment)) {
            session->rx_start = session->segment;
            return 1;
        }
        session->segment = ++at;
    }
    session->scan = at;
    return 0;
}

static bool line_failed(int status) {
    return status == TML_ERR_CLOSED || status == TML_ERR_IO;
}

static int refuse(tml_session *session, uint16_t seq, int error) {
    bool dropped = error != TML_ERR_ENGINE && error != TML_ERR_BAD_ENCODING;
    session->frames_dropped += dropped ? 1 : 0;
    return tml_reply_error(session, seq, error, TML_NO_SAMPLE, tml_describe(session, error));
}

/* Answers every frame that has arrived whole. */
static int answer_received(tml_session *session) {
    const tml_config *c = &session->config;
    while (session->rx_start < session->rx_end) {
        tml_frame frame;
        size_t used;
        int status = tml_receive(&session->receiver, c->rx + session->rx_start, session->rx_end - session->rx_start,
                                 &used, &frame);
        session->rx_start += used;
        if (status == 0) {
            break;
        }
        if (status == 1) {
            session->frames_received++;
            session->busy_seq = frame.seq;
            status = tml_session_answer(session, &frame);
            session->busy_seq = 0;
            session->busy_sample = TML_NO_SAMPLE;
        }
        if (status != TML_OK && !line_failed(status)) {
            status = refuse(session, frame.seq, status);
        }
        if (status != TML_OK) {
            return status;
        }
    }
    return TML_OK;
}

int tml_session_poll(tml_session *session, uint32_t timeout_ms) {
    int32_t got = tml_session_read(session, timeout_ms);
    if (got == TML_ERR_CLOSED || got == TML_ERR_IO) {
        return got;
    }
    int status = answer_received(session);
    if (status == TML_OK && (got == TML_ERR_OVERRUN || session->overrun)) {
        session->overrun = false;
        tml_receiver_skip(&session->receiver);
        status = refuse(session, 0, TML_ERR_OVERRUN);
    }
    return status;
}

/* ---- start ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_sha256(const char *hex, uint8_t *out) {
    for (size_t i = 0; i < 32; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = high < 0 ? -1 : hex_digit(hex[2 * i + 1]);
        if (low < 0) {
            return TML_ERR_CONFIG;
        }
        out[i] = (uint8_t)(high * 16 + low);
    }
    return hex[64] == '\0' ? TML_OK : TML_ERR_CONFIG;
}

static bool tensor_is_sane(const tml_tensor *tensor) {
    uint64_t elements = 1;
    if (tensor->rank < 1 || tensor->rank > TML_MAX_RANK || tensor->dims[0] != 1 || tensor->dtype < TML_INT8 ||
        tensor->dtype > TML_FLOAT32) {
        return false;
    }
    for (uint8_t i = 0; i < tensor->rank; i++) {
        elements *= tensor->dims[i];
        if (elements == 0 || elements > UINT32_MAX / 4) {
            return false;
        }
    }
    return true;
}

/* The longest payloads whose size does not depend on what the host asks. */
static size_t largest_reply(const tml_model *model) {
    enum { IDENTITY_FIXED = 4 + 8 + 8 + 16 + 64 + 2 * (12 + 4 * TML_MAX_RANK) + 6 * (1 + TML_MAX_NAME) };
    size_t result = TML_RESULT_HEADER + TML_CANARY_OVERHEAD + tml_tensor_bytes(&model->output);
    return result > IDENTITY_FIXED ? result : IDENTITY_FIXED;
}

int tml_session_adopt(tml_session *session, const tml_model *model) {
    if (!tensor_is_sane(&model->input) || !tensor_is_sane(&model->output) ||
        tml_preprocess_check(&model->preprocess, &model->input) != TML_OK ||
        tml_payload_capacity(session->config.tx_size) < largest_reply(model)) {
        return TML_ERR_CONFIG;
    }
    session->model = model;
    session->input_bytes = tml_tensor_bytes(&model->input);
    session->output_bytes = tml_tensor_bytes(&model->output);
    session->encodings = (1U << TML_TENSOR) | (1U << TML_TENSOR_DEFLATE);
    if (model->preprocess.kind != TML_PRE_NONE) {
        session->encodings |= (1U << TML_PIXELS) | (1U << TML_PIXELS_DEFLATE);
    }
    return TML_OK;
}

int tml_session_init(tml_session *session, const tml_config *config) {
    memset(session, 0, sizeof *session);
    session->config = *config;
    session->busy_sample = TML_NO_SAMPLE;
    if (parse_sha256(config->firmware_sha256, session->firmware_sha256) != TML_OK || config->rx_size == 0 ||
        config->frame_size < 64 || config->rx_window / 2 < config->frame_size ||
        (config->load != NULL && (config->engine->load == NULL || config->store == NULL)) ||
        tml_session_adopt(session, config->model) != TML_OK) {
        return TML_ERR_CONFIG;
    }
    tml_receiver_init(&session->receiver, config->frame, config->frame_size);
    /* The engine may still have what was uploaded to an earlier session. */
    session->engine_status =
        config->engine->load != NULL ? config->engine->load(config->engine, config->model, NULL, 0) : TML_OK;
    if (session->engine_status == TML_OK) {
        session->engine_status = config->engine->init(config->engine);
    }
    if (session->engine_status != TML_OK) {
        config->port->log(config->port->context, "the engine could not be initialised");
    }
    return TML_OK;
}
