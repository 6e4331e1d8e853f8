/* A model that comes over the line: PROTOCOL.md sections 3 (LOAD) and 6. */
#include <string.h>

#include "tml_session_parts.h"

/* Back to what the image was linked with. */
static void use_own_model(tml_session *session) {
    const tml_config *c = &session->config;
    if (session->model != c->model) {
        session->engine_status = c->engine->load(c->engine, c->model, NULL, 0);
        (void)tml_session_adopt(session, c->model); /* it was accepted before */
        if (session->engine_status == TML_OK) {
            session->engine_status = c->engine->init(c->engine);
        }
    }
}

static int use_package(tml_session *session) {
    const tml_config *c = &session->config;
    const uint8_t *file;
    size_t size;
    if (tml_package_open(c->store, session->load_total, &session->loaded, &file, &size) != TML_OK ||
        tml_session_adopt(session, &session->loaded) != TML_OK) {
        return TML_ERR_BAD_PAYLOAD;
    }
    session->engine_status = c->engine->load(c->engine, &session->loaded, file, size);
    if (session->engine_status == TML_OK) {
        session->engine_status = c->engine->init(c->engine);
    }
    if (session->engine_status != TML_OK) {
        use_own_model(session);
        return TML_ERR_ENGINE;
    }
    return TML_OK;
}

int tml_session_load(tml_session *session, const tml_frame *frame) {
    const tml_config *c = &session->config;
    tml_piece piece;
    if (tml_decode_load(frame->payload, frame->size, &piece) != TML_OK) {
        return TML_ERR_BAD_PAYLOAD;
    }
    if (piece.total > c->store_size) {
        return TML_ERR_TOO_LARGE;
    }
    bool repeated = piece.total == session->load_total && piece.offset + piece.size <= session->load_received;
    if (!repeated) {
        if (session->load_total == 0) {
            use_own_model(session); /* the store is about to be overwritten */
            session->load_received = 0;
            session->load_total = piece.total;
        }
        if (piece.total != session->load_total || piece.offset != session->load_received) {
            return TML_ERR_BAD_PAYLOAD;
        }
        memcpy(c->store + piece.offset, piece.data, piece.size);
        session->load_received += piece.size;
        int status = session->load_received == session->load_total ? use_package(session) : TML_OK;
        if (status != TML_OK) {
            session->load_total = 0;
            return status;
        }
    }
    tml_store32(tml_reply_payload(session), session->load_received);
    return tml_reply(session, TML_LOADED, frame->seq, sizeof(uint32_t));
}
