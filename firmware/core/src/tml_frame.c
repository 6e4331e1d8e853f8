/* Frames: COBS in both directions and the checks of PROTOCOL.md section 1. */
#include <string.h>

#include "tml.h"

#define COBS_FULL 0xFFU /* code of a group of 254 bytes that no zero follows */

static void begin_frame(tml_receiver *receiver) {
    receiver->size = 0;
    receiver->encoded = 0;
    receiver->code = COBS_FULL; /* no zero stands in front of the first group */
    receiver->left = 0;
    receiver->skipping = false;
}

void tml_receiver_init(tml_receiver *receiver, uint8_t *buffer, size_t capacity) {
    receiver->buffer = buffer;
    receiver->capacity = capacity;
    begin_frame(receiver);
}

void tml_receiver_skip(tml_receiver *receiver) {
    begin_frame(receiver);
    receiver->skipping = true;
}

/* Length, CRC and version of a body that COBS delivered whole; type and payload are the session's. */
static int check_body(const tml_receiver *receiver, tml_frame *frame) {
    const uint8_t *body = receiver->buffer;
    if (receiver->left != 0 || receiver->size < TML_FRAME_OVERHEAD) {
        return TML_ERR_BAD_FRAME;
    }
    size_t covered = receiver->size - 4;
    if (tml_crc32(0, body, covered) != tml_load32(body + covered)) {
        return TML_ERR_BAD_FRAME;
    }
    frame->type = body[1];
    frame->seq = tml_load16(body + 2);
    frame->payload = body + TML_FRAME_HEADER;
    frame->size = receiver->size - TML_FRAME_OVERHEAD;
    return body[0] == TML_PROTOCOL_VERSION ? 1 : TML_ERR_BAD_VERSION;
}

/* Decodes bytes up to the next zero, which is not taken; returns their number. Every byte makes at most one decoded
 * byte, so what fits encoded fits decoded. The state is in local variables: stores through `out` could change the
 * receiver for all the compiler knows, and this loop is most of what receiving costs. */
static size_t take_bytes(tml_receiver *receiver, const uint8_t *data, size_t size) {
    uint8_t *out = receiver->buffer + receiver->size;
    uint8_t code = receiver->code;
    uint8_t left = receiver->left;
    size_t taken = 0;
    for (; taken < size && data[taken] != 0; taken++) {
        uint8_t byte = data[taken];
        if (left != 0) {
            *out++ = byte;
            left--;
            continue;
        }
        if (code != COBS_FULL) {
            *out++ = 0;
        }
        code = byte;
        left = (uint8_t)(byte - 1U);
    }
    receiver->size = (size_t)(out - receiver->buffer);
    receiver->code = code;
    receiver->left = left;
    receiver->encoded += taken;
    return taken;
}

size_t tml_find_zero(const uint8_t *data, size_t size) {
    size_t at = 0;
    /* A word holds a zero byte exactly if this is not 0: A. Mycroft, 1987. */
    for (uint32_t word; size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        if (((word - 0x01010101U) & ~word & 0x80808080U) != 0) {
            break;
        }
    }
    while (at < size && data[at] != 0) {
        at++;
    }
    return at;
}

int tml_receive(tml_receiver *receiver, const uint8_t *data, size_t size, size_t *used, tml_frame *frame) {
    memset(frame, 0, sizeof *frame);
    for (size_t at = 0; at < size; at++) {
        if (receiver->skipping) {
            at += tml_find_zero(data + at, size - at);
        } else {
            size_t room = receiver->capacity - 1 - receiver->encoded; /* the delimiter belongs to the frame */
            at += take_bytes(receiver, data + at, size - at < room ? size - at : room);
        }
        if (at == size) {
            break;
        }
        if (data[at] != 0) {
            tml_receiver_skip(receiver);
            *used = at + 1;
            return TML_ERR_TOO_LARGE;
        }
        if (receiver->skipping || receiver->encoded == 0) {
            begin_frame(receiver);
        } else {
            int status = check_body(receiver, frame);
            begin_frame(receiver);
            *used = at + 1;
            return status;
        }
    }
    *used = size;
    return 0;
}

/* The body stands so far behind the buffer's start that the encoder, which writes one byte per group more than it
 * reads, never overtakes itself. */
static size_t body_offset(size_t capacity) {
    return 2 + capacity / 254;
}

size_t tml_payload_offset(size_t capacity) {
    return body_offset(capacity) + TML_FRAME_HEADER;
}

size_t tml_payload_capacity(size_t capacity) {
    size_t overhead = body_offset(capacity) + TML_FRAME_OVERHEAD;
    return capacity > overhead ? capacity - overhead : 0;
}

size_t tml_frame_encode(uint8_t *buffer, size_t capacity, tml_type type, uint16_t seq, size_t payload_size) {
    uint8_t *body = buffer + body_offset(capacity);
    size_t size = payload_size + TML_FRAME_OVERHEAD;
    body[0] = TML_PROTOCOL_VERSION;
    body[1] = (uint8_t)type;
    tml_store16(body + 2, seq);
    tml_store32(body + size - 4, tml_crc32(0, body, size - 4));

    size_t code_at = 0;
    size_t out = 1;
    uint8_t code = 1;
    for (size_t i = 0; i < size; i++) {
        if (code == COBS_FULL) {
            buffer[code_at] = code;
            code_at = out++;
            code = 1;
        }
        uint8_t byte = body[i];
        if (byte == 0) {
            buffer[code_at] = code;
            code_at = out++;
            code = 1;
        } else {
            buffer[out++] = byte;
            code++;
        }
    }
    buffer[code_at] = code;
    buffer[out++] = 0;
    return out;
}

size_t tml_error_frame(uint8_t *buffer, size_t capacity, uint16_t seq, int error, uint32_t sample_id,
                       const char *text) {
    size_t room = tml_payload_capacity(capacity);
    size_t size = tml_encode_error(buffer + tml_payload_offset(capacity), room, error, sample_id, text);
    return size == 0 ? 0 : tml_frame_encode(buffer, capacity, TML_ERROR, seq, size);
}
