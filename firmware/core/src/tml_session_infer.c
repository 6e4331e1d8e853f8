/* Samples in, results out. */
#include <string.h>

#include "tml_session_parts.h"

#define FLUSH_MS 200U /* a slow board shows what it has, at the latest after so long */

/* Tensors of more than one byte per element travel as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian board must swap scores and tensors here");

static int load_sample(tml_session *session, uint8_t encoding, const tml_sample *sample) {
    const tml_model *model = session->model;
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
    tml_encode_result_header(tml_reply_payload(session), session->result_count, last);
    int status = tml_reply(session, TML_RESULT, seq, session->result_size);
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
    bool full = session->result_size + needed > tml_reply_room(session) || session->result_count == UINT16_MAX;
    if (!full && now - session->result_ms < FLUSH_MS) {
        return TML_OK;
    }
    session->result_ms = now;
    return flush_results(session, seq, false);
}

static int report_sample(tml_session *session, uint16_t seq, int error, uint32_t id) {
    /* The buffer is shared with the results so far. */
    int status = session->result_count == 0 ? TML_OK : flush_results(session, seq, false);
    int sent = tml_reply_error(session, seq, error, id, tml_describe(session, error));
    return status != TML_OK ? status : sent;
}

int tml_session_batch(tml_session *session, uint16_t seq, tml_infer *infer) {
    size_t size = TML_RESULT_OVERHEAD + session->output_bytes;
    tml_sample sample;
    int line = TML_OK;
    session->scan = session->segment = session->rx_start;
    begin_results(session);
    while (line == TML_OK && tml_next_sample(infer, &sample)) {
        int begun_anew = tml_session_hello_waits(session);
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
        tml_encode_result(tml_reply_payload(session) + session->result_size, sample.id, ticks, scores,
                          session->output_bytes);
        session->result_size += size;
        session->result_count++;
    }
    return line != TML_OK ? line : flush_results(session, seq, true);
}

int tml_session_canary(tml_session *session, uint16_t seq, tml_infer *infer) {
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
            uint8_t *payload = tml_reply_payload(session);
            tml_encode_canary_result(payload, sample.id, ticks, crc, engine->output(engine), session->output_bytes);
            return tml_reply(session, TML_CANARY_RESULT, seq, TML_CANARY_OVERHEAD + session->output_bytes);
        }
    }
    /* A canary has one reply: its error ends the request. */
    return tml_reply_error(session, seq, status, TML_NO_SAMPLE, tml_describe(session, status));
}
