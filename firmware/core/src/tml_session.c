/* The state machine: PROTOCOL.md section 2. Frames come in, are answered in order, and nothing is kept between them. */
#include <string.h>

#include "tml.h"

#define HELLO_ENCODED 13U /* one COBS code, header, session and CRC; without the delimiter */
#define FLUSH_MS 200U     /* a slow board shows what it has, at the latest after so long */

/* Tensors of more than one byte per element travel as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian board must swap scores and tensors here");

/* ---- sending ---- */

static uint8_t *payload_of(const tml_session *session) {
    return session->config.tx + tml_payload_offset(session->config.tx_size);
}

static size_t payload_room(const tml_session *session) {
    return tml_payload_capacity(session->config.tx_size);
}

static int write_bytes(tml_session *session, size_t size) {
    const tml_port *port = session->config.port;
    session->bytes_sent += size;
    return port->write(port->context, session->config.tx, size);
}

static int send_payload(tml_session *session, tml_type type, uint16_t seq, size_t size) {
    return write_bytes(session, tml_frame_encode(session->config.tx, session->config.tx_size, type, seq, size));
}

static int send_error(tml_session *session, uint16_t seq, int error, uint32_t sample_id, const char *text) {
    size_t size = tml_error_frame(session->config.tx, session->config.tx_size, seq, error, sample_id, text);
    return write_bytes(session, size);
}

static const char *describe(int error) {
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
        return "engine failed";
    }
}
_Static_assert(TML_PROTOCOL_VERSION == 1, "the text of BAD_VERSION names the version");

/* ---- receiving ---- */

/* Returns how many bytes came (0 also if there is no room for them), or the port's error. */
static int32_t read_more(tml_session *session, uint32_t timeout_ms) {
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
static int hello_waits(tml_session *session) {
    const tml_config *c = &session->config;
    uint32_t now = c->port->uptime_ms(c->port->context);
    if (now == session->scan_ms) {
        return 0;
    }
    session->scan_ms = now;
    int32_t got = read_more(session, 0);
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

/* ---- one inference ---- */

static int load_sample(tml_session *session, uint8_t encoding, const tml_sample *sample) {
    const tml_model *model = session->config.model;
    uint8_t *input = session->config.engine->input(session->config.engine);
    bool pixels = encoding == TML_PIXELS || encoding == TML_PIXELS_DEFLATE;
    const uint8_t *source = sample->data;
    if (encoding == TML_PIXELS_DEFLATE || encoding == TML_TENSOR_DEFLATE) {
        if (tml_inflate(sample->data, sample->length, input, session->input_bytes) != TML_OK) {
            return TML_ERR_BAD_SAMPLE;
        }
        source = input;
    } else if (sample->length != session->input_bytes) {
        return TML_ERR_BAD_SAMPLE;
    }
    if (pixels) {
        tml_preprocess_run(&model->preprocess, &model->input, source, input);
    } else if (source != input) {
        memcpy(input, source, session->input_bytes);
    }
    return TML_OK;
}

static int invoke(tml_session *session, uint32_t *ticks) {
    const tml_port *port = session->config.port;
    uint64_t begin = port->ticks(port->context);
    int status = session->config.engine->invoke(session->config.engine);
    uint64_t taken = (port->ticks(port->context) - begin) & port->tick_mask;
    *ticks = taken > UINT32_MAX ? UINT32_MAX : (uint32_t)taken;
    session->inferences++;
    return status == TML_OK ? TML_OK : TML_ERR_ENGINE;
}

static void begin_results(tml_session *session) {
    session->result_count = 0;
    session->result_size = TML_RESULT_HEADER;
}

static int flush_results(tml_session *session, uint16_t seq, bool last) {
    tml_encode_result_header(payload_of(session), session->result_count, last);
    int status = send_payload(session, TML_RESULT, seq, session->result_size);
    begin_results(session);
    return status;
}

/* Sends what fills the buffer, or has waited long enough. */
static int flush_if_due(tml_session *session, uint16_t seq, size_t needed) {
    const tml_port *port = session->config.port;
    uint32_t now = port->uptime_ms(port->context);
    if (session->result_count == 0) {
        session->result_ms = now;
        return TML_OK;
    }
    bool full = session->result_size + needed > payload_room(session) || session->result_count == UINT16_MAX;
    if (!full && now - session->result_ms < FLUSH_MS) {
        return TML_OK;
    }
    session->result_ms = now;
    return flush_results(session, seq, false);
}

static int report_sample(tml_session *session, uint16_t seq, int error, uint32_t id) {
    /* The buffer is shared with the results so far. */
    int status = session->result_count == 0 ? TML_OK : flush_results(session, seq, false);
    int sent = send_error(session, seq, error, id, describe(error));
    return status != TML_OK ? status : sent;
}

static int infer_batch(tml_session *session, uint16_t seq, tml_infer *infer) {
    size_t size = TML_RESULT_OVERHEAD + session->output_bytes;
    tml_sample sample;
    int line = TML_OK;
    session->scan = session->segment = session->rx_start;
    begin_results(session);
    while (line == TML_OK && tml_next_sample(infer, &sample)) {
        int begun_anew = hello_waits(session);
        if (begun_anew != 0) {
            return begun_anew > 0 ? TML_OK : begun_anew;
        }
        uint32_t ticks;
        session->busy_sample = sample.id;
        int status = load_sample(session, infer->encoding, &sample);
        if (status == TML_OK) {
            status = invoke(session, &ticks);
        }
        if (status != TML_OK) {
            line = report_sample(session, seq, status, sample.id);
            continue;
        }
        line = flush_if_due(session, seq, size);
        const void *scores = session->config.engine->output(session->config.engine);
        tml_encode_result(payload_of(session) + session->result_size, sample.id, ticks, scores, session->output_bytes);
        session->result_size += size;
        session->result_count++;
    }
    return line != TML_OK ? line : flush_results(session, seq, true);
}

static int infer_canary(tml_session *session, uint16_t seq, tml_infer *infer) {
    tml_engine *engine = session->config.engine;
    tml_sample sample;
    uint32_t ticks;
    (void)tml_next_sample(infer, &sample);
    session->busy_sample = sample.id;
    int status = load_sample(session, infer->encoding, &sample);
    if (status == TML_OK) {
        uint32_t crc = tml_crc32(0, engine->input(engine), session->input_bytes);
        status = invoke(session, &ticks);
        if (status == TML_OK) {
            uint8_t *payload = payload_of(session);
            tml_encode_canary_result(payload, sample.id, ticks, crc, engine->output(engine), session->output_bytes);
            return send_payload(session, TML_CANARY_RESULT, seq, TML_CANARY_OVERHEAD + session->output_bytes);
        }
    }
    /* A canary has one reply: its error ends the request. */
    return send_error(session, seq, status, TML_NO_SAMPLE, describe(status));
}

/* ---- requests; each returns TML_OK, an error to be sent, or the line's own failure ---- */

static int on_hello(tml_session *session, const tml_frame *frame) {
    static const char *const preprocess_names[] = {"none", "lut", "l2axis1"};
    const tml_config *c = &session->config;
    tml_identity identity = {
        .clock = c->port->clock,
        .encodings = session->encodings,
        .tick_hz = c->port->tick_hz,
        .rx_window = c->rx_window,
        .max_frame = (uint32_t)c->frame_size,
        .arena_used = c->engine->arena_used(c->engine),
        .arena_capacity = c->engine->arena_capacity(c->engine),
        .flash = c->port->flash_bytes,
        .ram = c->port->ram_bytes,
        .firmware_sha256 = session->firmware_sha256,
        .model_sha256 = c->model->sha256,
        .input = &c->model->input,
        .output = &c->model->output,
        .firmware_version = c->firmware_version,
        .board = c->port->board,
        .chip = c->port->chip,
        .engine = c->engine->name,
        .model = c->model->name,
        .preprocess = preprocess_names[c->model->preprocess.kind],
    };
    if (tml_decode_hello(frame->payload, frame->size, &identity.session) != TML_OK) {
        return TML_ERR_BAD_PAYLOAD;
    }
    size_t size = tml_encode_identity(payload_of(session), payload_room(session), &identity);
    return send_payload(session, TML_IDENTITY, frame->seq, size);
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
    return frame->type == TML_CANARY ? infer_canary(session, frame->seq, &infer)
                                     : infer_batch(session, frame->seq, &infer);
}

static int on_stats(tml_session *session, const tml_frame *frame) {
    const tml_port *port = session->config.port;
    const uint64_t counted[] = {
        [TML_STAT_UPTIME_MS] = port->uptime_ms(port->context), [TML_STAT_INFERENCES] = session->inferences,
        [TML_STAT_FRAMES_RECEIVED] = session->frames_received, [TML_STAT_FRAMES_DROPPED] = session->frames_dropped,
        [TML_STAT_BYTES_RECEIVED] = session->bytes_received,   [TML_STAT_BYTES_SENT] = session->bytes_sent,
    };
    uint8_t *payload = payload_of(session);
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
    return send_payload(session, TML_STATS_RESULT, frame->seq, size);
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
    payload_of(session)[0] = kind;
    int status = send_payload(session, TML_RESET_DONE, frame->seq, 1);
    if (kind == 1 && status == TML_OK) {
        c->port->log(c->port->context, "restarting, as the host asked");
        c->port->restart(c->port->context);
    }
    return status;
}

static int on_echo(tml_session *session, const tml_frame *frame) {
    if (frame->size > payload_room(session)) {
        return TML_ERR_TOO_LARGE;
    }
    memcpy(payload_of(session), frame->payload, frame->size);
    return send_payload(session, TML_ECHO_RESULT, frame->seq, frame->size);
}

static int answer(tml_session *session, const tml_frame *frame) {
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
    default:
        return TML_ERR_UNKNOWN_TYPE;
    }
}

static bool line_failed(int status) {
    return status == TML_ERR_CLOSED || status == TML_ERR_IO;
}

static int refuse(tml_session *session, uint16_t seq, int error) {
    bool dropped = error != TML_ERR_ENGINE && error != TML_ERR_BAD_ENCODING;
    session->frames_dropped += dropped ? 1 : 0;
    return send_error(session, seq, error, TML_NO_SAMPLE, describe(error));
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
            status = answer(session, &frame);
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
    int32_t got = read_more(session, timeout_ms);
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

int tml_session_log(tml_session *session, const char *text) {
    size_t size = tml_text_size(text, payload_room(session));
    memcpy(payload_of(session), text, size);
    return send_payload(session, TML_LOG, 0, size);
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
static size_t largest_reply(const tml_config *config) {
    enum { IDENTITY_FIXED = 4 + 8 + 8 + 16 + 64 + 2 * (12 + 4 * TML_MAX_RANK) + 6 * (1 + TML_MAX_NAME) };
    size_t result = TML_RESULT_HEADER + TML_CANARY_OVERHEAD + tml_tensor_bytes(&config->model->output);
    return result > IDENTITY_FIXED ? result : IDENTITY_FIXED;
}

int tml_session_init(tml_session *session, const tml_config *config) {
    const tml_model *model = config->model;
    memset(session, 0, sizeof *session);
    session->config = *config;
    session->busy_sample = TML_NO_SAMPLE;
    if (!tensor_is_sane(&model->input) || !tensor_is_sane(&model->output) ||
        tml_preprocess_check(&model->preprocess, &model->input) != TML_OK ||
        parse_sha256(config->firmware_sha256, session->firmware_sha256) != TML_OK || config->rx_size == 0 ||
        config->frame_size < 64 || config->rx_window / 2 < config->frame_size ||
        tml_payload_capacity(config->tx_size) < largest_reply(config)) {
        return TML_ERR_CONFIG;
    }
    session->input_bytes = tml_tensor_bytes(&model->input);
    session->output_bytes = tml_tensor_bytes(&model->output);
    session->encodings = (1U << TML_TENSOR) | (1U << TML_TENSOR_DEFLATE);
    if (model->preprocess.kind != TML_PRE_NONE) {
        session->encodings |= (1U << TML_PIXELS) | (1U << TML_PIXELS_DEFLATE);
    }
    tml_receiver_init(&session->receiver, config->frame, config->frame_size);
    session->engine_status = config->engine->init(config->engine);
    if (session->engine_status != TML_OK) {
        config->port->log(config->port->context, "the engine could not be initialised");
    }
    return TML_OK;
}
