/* libFuzzer: any bytes at the receiver, at the session and at the unpacker. The first byte chooses; every buffer is an
 * exact block, so that the address sanitizer sees any step beyond it. */
#include "blocks.h"
#include "fake_board.h"
#include "fuzz.h"

static void fuzz_receiver(const uint8_t *data, size_t size) {
    enum { CAPACITY = 64 };
    uint8_t *buffer = exact_block(CAPACITY);
    tml_receiver receiver;
    tml_receiver_init(&receiver, buffer, CAPACITY);
    while (size != 0) {
        tml_frame frame;
        size_t used = 0;
        int status = tml_receive(&receiver, data, size, &used, &frame);
        REQUIRE(used > 0 && used <= size && status <= 1 && status >= TML_ERR_TOO_LARGE);
        REQUIRE(status != 1 || (frame.payload >= buffer && frame.payload + frame.size + 4 <= buffer + CAPACITY));
        data += used;
        size -= used;
    }
    free(buffer);
}

/* Whatever a session was sent, it sends nothing but whole frames. */
static void require_frames(const fake_board *board) {
    uint8_t *buffer = exact_block(FAKE_TX);
    tml_receiver receiver;
    tml_receiver_init(&receiver, buffer, FAKE_TX);
    for (size_t at = 0; at < board->sent_size;) {
        tml_frame frame;
        size_t used;
        REQUIRE(tml_receive(&receiver, board->sent + at, board->sent_size - at, &used, &frame) == 1);
        REQUIRE(frame.type >= TML_IDENTITY);
        at += used;
    }
    free(buffer);
}

static void fuzz_session(const uint8_t *data, size_t size) {
    static fake_board board;
    REQUIRE(fake_board_new(&board) == TML_OK);
    board.ms_per_invoke = 50;
    REQUIRE(size == 0 || fake_board_feed(&board, data, size) == TML_OK);
    require_frames(&board);
    fake_board_free(&board);
}

/* The bytes as payloads of frames with a good CRC: type, size, payload, and so on. */
static void fuzz_requests(const uint8_t *data, size_t size) {
    static uint8_t stream[1 << 14];
    uint8_t buffer[512];
    size_t filled = 0;
    while (size >= 2 && filled + sizeof buffer <= sizeof stream) {
        uint8_t type = data[0];
        size_t length = data[1] < size - 2 ? data[1] : size - 2;
        memcpy(buffer + tml_payload_offset(sizeof buffer), data + 2, length);
        size_t encoded = tml_frame_encode(buffer, sizeof buffer, (tml_type)type, 1, length);
        memcpy(stream + filled, buffer, encoded);
        filled += encoded;
        data += 2 + length;
        size -= 2 + length;
    }
    fuzz_session(stream, filled);
}

static void fuzz_inflate(const uint8_t *data, size_t size) {
    if (size < 2) {
        return;
    }
    size_t out_size = tml_load16(data) & 0x3FFU;
    uint8_t *copy = exact_copy(data + 2, size - 2);
    uint8_t *out = exact_block(out_size);
    int status = tml_inflate(copy, size - 2, out, out_size);
    REQUIRE(status == TML_OK || status == TML_ERR_BAD_SAMPLE);
    free(out);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const targets[])(const uint8_t *, size_t) = {fuzz_receiver, fuzz_session, fuzz_requests,
                                                               fuzz_inflate};
    if (size != 0) {
        targets[data[0] % 4](data + 1, size - 1);
    }
    return 0;
}
