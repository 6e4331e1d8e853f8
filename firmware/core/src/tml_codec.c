/* Payloads of PROTOCOL.md section 3. */
#include <string.h>

#include "tml.h"

#define SAMPLE_HEADER 6
#define LOAD_HEADER 8U
#define INFER_HEADER 4

int tml_decode_hello(const uint8_t *payload, size_t size, uint32_t *session) {
    if (size != 4) {
        return TML_ERR_BAD_PAYLOAD;
    }
    *session = tml_load32(payload);
    return TML_OK;
}

int tml_decode_reset(const uint8_t *payload, size_t size, uint8_t *kind) {
    if (size != 1 || payload[0] > 1) {
        return TML_ERR_BAD_PAYLOAD;
    }
    *kind = payload[0];
    return TML_OK;
}

int tml_decode_load(const uint8_t *payload, size_t size, tml_piece *piece) {
    if (size <= LOAD_HEADER) {
        return TML_ERR_BAD_PAYLOAD;
    }
    piece->offset = tml_load32(payload);
    piece->total = tml_load32(payload + 4);
    piece->data = payload + LOAD_HEADER;
    piece->size = (uint32_t)(size - LOAD_HEADER);
    bool inside = piece->offset <= piece->total && piece->size <= piece->total - piece->offset;
    return inside ? TML_OK : TML_ERR_BAD_PAYLOAD;
}

int tml_decode_infer(const uint8_t *payload, size_t size, tml_type type, tml_infer *infer) {
    if (size < INFER_HEADER) {
        return TML_ERR_BAD_PAYLOAD;
    }
    infer->encoding = payload[0];
    infer->count = tml_load16(payload + 2);
    infer->at = payload + INFER_HEADER;
    if (payload[1] != 0 || infer->count == 0 || (type == TML_CANARY && infer->count != 1)) {
        return TML_ERR_BAD_PAYLOAD;
    }
    size_t left = size - INFER_HEADER;
    const uint8_t *at = infer->at;
    for (uint16_t i = 0; i < infer->count; i++) {
        if (left < SAMPLE_HEADER) {
            return TML_ERR_BAD_PAYLOAD;
        }
        size_t length = tml_load16(at + 4);
        left -= SAMPLE_HEADER;
        if (left < length) {
            return TML_ERR_BAD_PAYLOAD;
        }
        left -= length;
        at += SAMPLE_HEADER + length;
    }
    return left == 0 ? TML_OK : TML_ERR_BAD_PAYLOAD;
}

bool tml_next_sample(tml_infer *infer, tml_sample *sample) {
    if (infer->count == 0) {
        return false;
    }
    infer->count--;
    sample->id = tml_load32(infer->at);
    sample->length = tml_load16(infer->at + 4);
    sample->data = infer->at + SAMPLE_HEADER;
    infer->at += SAMPLE_HEADER + sample->length;
    return true;
}

uint32_t tml_tensor_elements(const tml_tensor *tensor) {
    uint32_t elements = 1;
    for (uint8_t i = 0; i < tensor->rank; i++) {
        elements *= tensor->dims[i];
    }
    return elements;
}

uint32_t tml_tensor_bytes(const tml_tensor *tensor) {
    uint32_t item = tensor->dtype == TML_FLOAT32 ? 4 : tensor->dtype == TML_INT16 ? 2 : 1;
    return tml_tensor_elements(tensor) * item;
}

/* Appends to a payload; what does not fit is counted and not written. */
typedef struct {
    uint8_t *out;
    size_t capacity;
    size_t size;
} writer;

static void put(writer *w, const void *data, size_t size) {
    if (w->size <= w->capacity && size <= w->capacity - w->size) {
        memcpy(w->out + w->size, data, size);
    }
    w->size += size;
}

static void put8(writer *w, uint8_t value) {
    put(w, &value, 1);
}

static void put16(writer *w, uint16_t value) {
    uint8_t bytes[2];
    tml_store16(bytes, value);
    put(w, bytes, sizeof bytes);
}

static void put32(writer *w, uint32_t value) {
    uint8_t bytes[4];
    tml_store32(bytes, value);
    put(w, bytes, sizeof bytes);
}

size_t tml_text_size(const char *text, size_t limit) {
    size_t size = 0;
    while (size < limit && text[size] != '\0') {
        size++;
    }
    while (size > 0 && ((uint8_t)text[size] & 0xC0U) == 0x80U) {
        size--;
    }
    return size;
}

static void put_text(writer *w, const char *text) {
    size_t size = tml_text_size(text, TML_MAX_NAME);
    put8(w, (uint8_t)size);
    put(w, text, size);
}

static void put_tensor(writer *w, const tml_tensor *tensor) {
    _Static_assert(sizeof(float) == 4, "f32 is IEEE 754 binary32");
    uint32_t scale;
    memcpy(&scale, &tensor->scale, sizeof scale);
    put8(w, (uint8_t)tensor->dtype);
    put8(w, tensor->rank);
    put16(w, 0);
    put32(w, scale);
    put32(w, (uint32_t)tensor->zero_point);
    for (uint8_t i = 0; i < tensor->rank; i++) {
        put32(w, tensor->dims[i]);
    }
}

size_t tml_encode_identity(uint8_t *out, size_t capacity, const tml_identity *identity) {
    writer w = {out, capacity, 0};
    put32(&w, identity->session);
    put8(&w, (uint8_t)identity->clock);
    put8(&w, identity->encodings);
    put16(&w, identity->features);
    put32(&w, identity->tick_hz);
    put32(&w, identity->rx_window);
    put32(&w, identity->max_frame);
    put32(&w, identity->arena_used);
    put32(&w, identity->arena_capacity);
    put32(&w, identity->flash);
    put32(&w, identity->ram);
    put(&w, identity->firmware_sha256, 32);
    put(&w, identity->model_sha256, 32);
    put_tensor(&w, identity->input);
    put_tensor(&w, identity->output);
    put_text(&w, identity->firmware_version);
    put_text(&w, identity->board);
    put_text(&w, identity->chip);
    put_text(&w, identity->engine);
    put_text(&w, identity->model);
    put_text(&w, identity->preprocess);
    return w.size <= capacity ? w.size : 0;
}

void tml_encode_result_header(uint8_t *out, uint16_t count, bool last) {
    tml_store16(out, count);
    out[2] = last ? 1 : 0;
    out[3] = 0;
}

void tml_encode_result(uint8_t *out, uint32_t id, uint32_t ticks, const void *scores, size_t size) {
    tml_store32(out, id);
    tml_store32(out + 4, ticks);
    memcpy(out + TML_RESULT_OVERHEAD, scores, size);
}

void tml_encode_canary_result(uint8_t *out, uint32_t id, uint32_t ticks, uint32_t crc, const void *scores,
                              size_t size) {
    tml_store32(out, id);
    tml_store32(out + 4, ticks);
    tml_store32(out + 8, crc);
    memcpy(out + TML_CANARY_OVERHEAD, scores, size);
}

void tml_encode_stat(uint8_t *out, uint8_t key, uint64_t value) {
    out[0] = key;
    tml_store64(out + 1, value);
}

size_t tml_encode_error(uint8_t *out, size_t capacity, int error, uint32_t sample_id, const char *text) {
    writer w = {out, capacity, 0};
    put16(&w, (uint16_t)-error);
    put32(&w, sample_id);
    if (w.size > capacity) {
        return 0;
    }
    put(&w, text, tml_text_size(text, capacity - w.size));
    return w.size;
}
