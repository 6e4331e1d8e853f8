/* The session against a scripted port: every request, and every way in which one can go wrong. */
#include "blocks.h"
#include "check.h"
#include "fake_board.h"

enum { MAX_FRAMES = 64 };

typedef struct {
    uint8_t type;
    uint16_t seq;
    uint8_t payload[FAKE_TX];
    size_t size;
} reply;

static fake_board board;
static reply replies[MAX_FRAMES];
static uint8_t outgoing[4096];
static size_t outgoing_size;

static void begin(const char *name) {
    check_name = name;
    outgoing_size = 0;
    CHECK(fake_board_new(&board) == TML_OK);
}

static void end(void) {
    fake_board_free(&board);
}

/* Appends one request to what will be sent; the codec itself is tested with vectors. */
static void request(uint8_t type, uint16_t seq, const void *payload, size_t size) {
    uint8_t buffer[1024];
    memcpy(buffer + tml_payload_offset(sizeof buffer), payload, size);
    size_t encoded = tml_frame_encode(buffer, sizeof buffer, (tml_type)type, seq, size);
    memcpy(outgoing + outgoing_size, buffer, encoded);
    outgoing_size += encoded;
}

/* `count` samples whose pixels are all their id's low byte. */
static void infer(uint8_t type, uint16_t seq, uint8_t encoding, uint32_t first, uint16_t count, uint16_t length) {
    uint8_t payload[512] = {encoding, 0};
    size_t at = 4;
    tml_store16(payload + 2, count);
    for (uint32_t i = 0; i < count; i++) {
        tml_store32(payload + at, first + i);
        tml_store16(payload + at + 4, length);
        memset(payload + at + 6, (int)(first + i), length);
        at += 6U + length;
    }
    request(type, seq, payload, at);
}

/* Sends what was collected and returns how many frames came back. */
static size_t exchange(void) {
    static uint8_t buffer[FAKE_TX + 64];
    tml_receiver receiver;
    size_t count = 0;
    board.sent_size = 0;
    CHECK(fake_board_feed(&board, outgoing, outgoing_size) == TML_OK);
    outgoing_size = 0;
    tml_receiver_init(&receiver, buffer, sizeof buffer);
    for (size_t at = 0; at < board.sent_size;) {
        tml_frame frame;
        size_t used;
        int status = tml_receive(&receiver, board.sent + at, board.sent_size - at, &used, &frame);
        at += used;
        CHECK(status == 1);
        if (status == 1 && count < MAX_FRAMES) {
            replies[count].type = frame.type;
            replies[count].seq = frame.seq;
            replies[count].size = frame.size;
            memcpy(replies[count].payload, frame.payload, frame.size);
            count++;
        }
    }
    return count;
}

static bool is_error(const reply *r, int error, uint16_t seq, uint32_t sample_id) {
    return r->type == TML_ERROR && r->seq == seq && r->size > 6 && tml_load16(r->payload) == (uint16_t)-error &&
           tml_load32(r->payload + 2) == sample_id;
}

static bool is_result(const reply *r, uint16_t seq, uint16_t count, bool last) {
    return r->type == TML_RESULT && r->seq == seq && tml_load16(r->payload) == count &&
           r->payload[2] == (last ? 1 : 0) && r->payload[3] == 0 && r->size == 4U + count * (8U + FAKE_SCORES);
}

static void test_hello(void) {
    begin("hello");
    request(TML_HELLO, 5, "\x78\x56\x34\x12", 4);
    CHECK(exchange() == 1);
    CHECK(replies[0].type == TML_IDENTITY && replies[0].seq == 5);
    CHECK(tml_load32(replies[0].payload) == 0x12345678U);
    CHECK(replies[0].payload[4] == TML_CLOCK_CYCLES && replies[0].payload[5] == 0x0F);
    CHECK(tml_load16(replies[0].payload + 6) == TML_FEATURE_LOAD);
    CHECK(tml_load32(replies[0].payload + 12) == 2 * FAKE_FRAME && tml_load32(replies[0].payload + 16) == FAKE_FRAME);
    CHECK(tml_load32(replies[0].payload + 20) == 100 && tml_load32(replies[0].payload + 24) == 200);
    CHECK(replies[0].payload[36] == 0x00 && replies[0].payload[37] == 0x11 && replies[0].payload[67] == 0xFF);
    CHECK(replies[0].payload[68] == 1 && replies[0].payload[69] == 2);
    end();
}

static void test_infer(void) {
    begin("infer");
    infer(TML_INFER, 9, TML_PIXELS, 3, 4, FAKE_PIXELS);
    CHECK(exchange() == 1);
    CHECK(is_result(&replies[0], 9, 4, true));
    for (uint32_t i = 0; i < 4; i++) {
        const uint8_t *result = replies[0].payload + 4 + i * (8 + FAKE_SCORES);
        uint8_t score = (uint8_t)-(int)(3 + i);
        CHECK(tml_load32(result) == 3 + i && tml_load32(result + 4) == 77);
        CHECK(result[8] == score && result[9] == score && result[10] == (uint8_t)(score * FAKE_PIXELS));
    }
    end();
}

static void test_infer_tensor_is_not_preprocessed(void) {
    begin("infer tensor");
    infer(TML_INFER, 9, TML_TENSOR, 3, 1, FAKE_PIXELS);
    CHECK(exchange() == 1);
    CHECK(is_result(&replies[0], 9, 1, true));
    CHECK(replies[0].payload[12] == 3);
    end();
}

static void test_infer_packed(void) {
    /* A fixed block of RFC 1951: literal 7, then length 11, distance 1. */
    static const uint8_t packed[] = {0x63, 0x47, 0x02, 0x00};
    uint8_t payload[4 + 6 + sizeof packed] = {TML_PIXELS_DEFLATE, 0, 1, 0, 5, 0, 0, 0, sizeof packed, 0};
    begin("infer packed");
    memcpy(payload + 10, packed, sizeof packed);
    request(TML_INFER, 1, payload, sizeof payload);
    payload[0] = TML_TENSOR_DEFLATE;
    request(TML_INFER, 2, payload, sizeof payload);
    CHECK(exchange() == 2);
    CHECK(is_result(&replies[0], 1, 1, true) && is_result(&replies[1], 2, 1, true));
    CHECK(replies[0].payload[12] == (uint8_t)-7 && replies[0].payload[13] == (uint8_t)-7);
    CHECK(replies[1].payload[12] == 7 && replies[1].payload[13] == 7);
    end();
}

static void test_results_stream_when_the_buffer_fills(void) {
    begin("results stream");
    uint8_t payload[4 + 80 * 7] = {TML_PIXELS, 0, 80, 0};
    board.model.input.dims[1] = 1; /* one pixel per sample, so that more results than fit come from one request */
    board.model.input.dims[2] = 1;
    CHECK(tml_payload_capacity(FAKE_TX) < 4 + 80 * (8 + FAKE_SCORES));
    board.frame = realloc(board.frame, 1024);
    tml_config config = board.session.config;
    config.frame = board.frame;
    config.frame_size = 1024;
    config.rx_window = 2048;
    CHECK(tml_session_init(&board.session, &config) == TML_OK);
    for (uint32_t i = 0; i < 80; i++) {
        tml_store32(payload + 4 + i * 7, 1000 + i);
        tml_store16(payload + 8 + i * 7, 1);
    }
    request(TML_INFER, 4, payload, sizeof payload);
    CHECK(exchange() == 2);
    uint16_t first = tml_load16(replies[0].payload);
    CHECK(first == (tml_payload_capacity(FAKE_TX) - 4) / (8 + FAKE_SCORES));
    CHECK(is_result(&replies[0], 4, first, false) && is_result(&replies[1], 4, (uint16_t)(80 - first), true));
    CHECK(tml_load32(replies[1].payload + 4) == 1000U + first);
    end();
}

static void test_a_slow_board_shows_what_it_has(void) {
    begin("slow");
    board.ms_per_invoke = 150;
    infer(TML_INFER, 4, TML_PIXELS, 0, 6, FAKE_PIXELS);
    CHECK(exchange() == 3);
    CHECK(is_result(&replies[0], 4, 2, false) && is_result(&replies[1], 4, 2, false) &&
          is_result(&replies[2], 4, 2, true));
    end();
}

static void test_bad_samples(void) {
    begin("bad samples");
    infer(TML_INFER, 4, TML_PIXELS, 7, 3, FAKE_PIXELS - 1);
    CHECK(exchange() == 4);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(is_error(&replies[i], TML_ERR_BAD_SAMPLE, 4, 7 + i));
    }
    CHECK(is_result(&replies[3], 4, 0, true));
    /* Bytes that do not unpack. */
    infer(TML_INFER, 5, TML_PIXELS_DEFLATE, 0xFE, 1, 5);
    CHECK(exchange() == 2);
    CHECK(is_error(&replies[0], TML_ERR_BAD_SAMPLE, 5, 0xFE) && is_result(&replies[1], 5, 0, true));
    end();
}

static void test_failed_inference(void) {
    begin("failed inference");
    board.fail_invoke = 2;
    infer(TML_INFER, 4, TML_PIXELS, 7, 3, FAKE_PIXELS);
    CHECK(exchange() == 3);
    CHECK(is_result(&replies[0], 4, 1, false));
    CHECK(is_error(&replies[1], TML_ERR_ENGINE, 4, 8));
    CHECK(is_result(&replies[2], 4, 1, true) && tml_load32(replies[2].payload + 4) == 9);
    end();
}

static void test_canary(void) {
    begin("canary");
    infer(TML_CANARY, 6, TML_PIXELS, 3, 1, FAKE_PIXELS);
    CHECK(exchange() == 1);
    uint8_t expected[FAKE_PIXELS];
    memset(expected, -3, sizeof expected);
    CHECK(replies[0].type == TML_CANARY_RESULT && replies[0].seq == 6 && replies[0].size == 12 + FAKE_SCORES);
    CHECK(tml_load32(replies[0].payload) == 3 && tml_load32(replies[0].payload + 4) == 77);
    CHECK(tml_load32(replies[0].payload + 8) == tml_crc32(0, expected, sizeof expected));
    CHECK(replies[0].payload[12] == (uint8_t)-3);
    /* One reply, also when it fails: the error ends the request. */
    infer(TML_CANARY, 7, TML_PIXELS, 3, 1, FAKE_PIXELS + 1);
    board.fail_invoke = 2;
    infer(TML_CANARY, 8, TML_PIXELS, 3, 1, FAKE_PIXELS);
    CHECK(exchange() == 2);
    CHECK(is_error(&replies[0], TML_ERR_BAD_SAMPLE, 7, TML_NO_SAMPLE));
    CHECK(is_error(&replies[1], TML_ERR_ENGINE, 8, TML_NO_SAMPLE));
    end();
}

static void test_encodings_not_offered(void) {
    begin("encodings");
    board.model.preprocess.kind = TML_PRE_NONE;
    tml_config config = board.session.config;
    CHECK(tml_session_init(&board.session, &config) == TML_OK);
    request(TML_HELLO, 1, "\0\0\0\1", 4);
    infer(TML_INFER, 2, TML_PIXELS, 0, 1, FAKE_PIXELS);
    infer(TML_INFER, 3, 4, 0, 1, FAKE_PIXELS);
    infer(TML_CANARY, 4, 255, 0, 1, FAKE_PIXELS);
    infer(TML_INFER, 5, TML_TENSOR, 0, 1, FAKE_PIXELS);
    CHECK(exchange() == 5);
    CHECK(replies[0].payload[5] == 0x0C);
    CHECK(is_error(&replies[1], TML_ERR_BAD_ENCODING, 2, TML_NO_SAMPLE));
    CHECK(is_error(&replies[2], TML_ERR_BAD_ENCODING, 3, TML_NO_SAMPLE));
    CHECK(is_error(&replies[3], TML_ERR_BAD_ENCODING, 4, TML_NO_SAMPLE));
    CHECK(is_result(&replies[4], 5, 1, true));
    end();
}

static void test_refused_frames(void) {
    begin("refused");
    request(TML_ECHO, 1, "abc", 3);
    outgoing[3] ^= 0x40; /* now the CRC is wrong */
    request(0x7F, 2, "abc", 3);
    request(TML_RESULT, 3, "", 0);
    request(TML_HELLO, 4, "abc", 3);
    request(TML_INFER, 5, "\0\0\0\0", 4);
    request(TML_STATS, 6, "x", 1);
    request(TML_RESET, 7, "\2", 1);
    memset(outgoing + outgoing_size, 0x33, FAKE_FRAME + 50);
    outgoing_size += FAKE_FRAME + 50;
    outgoing[outgoing_size++] = 0;
    request(TML_ECHO, 8, "fine", 4);
    CHECK(exchange() == 9);
    CHECK(is_error(&replies[0], TML_ERR_BAD_FRAME, 0, TML_NO_SAMPLE));
    CHECK(is_error(&replies[1], TML_ERR_UNKNOWN_TYPE, 2, TML_NO_SAMPLE));
    CHECK(is_error(&replies[2], TML_ERR_UNKNOWN_TYPE, 3, TML_NO_SAMPLE));
    for (uint16_t seq = 4; seq <= 7; seq++) {
        CHECK(is_error(&replies[seq - 1], TML_ERR_BAD_PAYLOAD, seq, TML_NO_SAMPLE));
    }
    CHECK(is_error(&replies[7], TML_ERR_TOO_LARGE, 0, TML_NO_SAMPLE));
    CHECK(replies[8].type == TML_ECHO_RESULT && replies[8].seq == 8 && memcmp(replies[8].payload, "fine", 4) == 0);
    request(TML_STATS, 9, "", 0);
    CHECK(exchange() == 1);
    /* Received: all with a good CRC, STATS included. Dropped: all eight that were refused. */
    CHECK(replies[0].payload[1 + 2 * 9] == TML_STAT_FRAMES_RECEIVED && replies[0].payload[2 + 2 * 9] == 8);
    CHECK(replies[0].payload[1 + 3 * 9] == TML_STAT_FRAMES_DROPPED && replies[0].payload[2 + 3 * 9] == 8);
    end();
}

static void test_stats(void) {
    begin("stats");
    infer(TML_INFER, 1, TML_PIXELS, 0, 5, FAKE_PIXELS);
    request(TML_STATS, 2, "", 0);
    size_t sent = outgoing_size;
    CHECK(exchange() == 2);
    const reply *r = &replies[1];
    CHECK(r->type == TML_STATS_RESULT && r->seq == 2 && r->payload[0] == 7 && r->size == 1 + 7 * 9);
    CHECK(r->payload[1 + 9] == TML_STAT_INFERENCES && r->payload[2 + 9] == 5);
    CHECK(r->payload[1 + 4 * 9] == TML_STAT_BYTES_RECEIVED && tml_load32(r->payload + 2 + 4 * 9) == sent);
    CHECK(r->payload[1 + 5 * 9] == TML_STAT_BYTES_SENT && tml_load32(r->payload + 2 + 5 * 9) > 5 * (8 + FAKE_SCORES));
    CHECK(r->payload[1 + 6 * 9] == TML_STAT_LEAST_FREE_STACK && tml_load32(r->payload + 2 + 6 * 9) == 4321);
    end();
}

static void test_reset(void) {
    begin("reset");
    CHECK(board.inits == 1);
    request(TML_RESET, 1, "\0", 1);
    CHECK(exchange() == 1);
    CHECK(replies[0].type == TML_RESET_DONE && replies[0].seq == 1 && replies[0].payload[0] == 0);
    CHECK(board.inits == 2 && board.restarts == 0);
    request(TML_RESET, 2, "\1", 1);
    CHECK(exchange() == 1);
    CHECK(replies[0].type == TML_RESET_DONE && replies[0].payload[0] == 1 && board.restarts == 1);
    /* An engine that fails is reported, and works again after a reset. */
    board.init_status = -1;
    request(TML_RESET, 3, "\0", 1);
    infer(TML_INFER, 4, TML_PIXELS, 0, 1, FAKE_PIXELS);
    request(TML_HELLO, 5, "\0\0\0\0", 4);
    CHECK(exchange() == 3);
    CHECK(is_error(&replies[0], TML_ERR_ENGINE, 3, TML_NO_SAMPLE));
    CHECK(is_error(&replies[1], TML_ERR_ENGINE, 4, TML_NO_SAMPLE));
    CHECK(replies[2].type == TML_IDENTITY);
    board.init_status = TML_OK;
    request(TML_RESET, 6, "\0", 1);
    infer(TML_INFER, 7, TML_PIXELS, 0, 1, FAKE_PIXELS);
    CHECK(exchange() == 2);
    CHECK(replies[0].type == TML_RESET_DONE && is_result(&replies[1], 7, 1, true));
    end();
}

static void test_hello_drops_earlier_requests(void) {
    begin("hello drops");
    infer(TML_INFER, 1, TML_PIXELS, 0, 8, FAKE_PIXELS);
    size_t first = outgoing_size;
    request(TML_ECHO, 2, "x", 1);
    infer(TML_INFER, 2, TML_PIXELS, 8, 1, FAKE_PIXELS);
    request(TML_HELLO, 3, "\x01\0\0\0", 4);
    infer(TML_INFER, 4, TML_PIXELS, 9, 1, FAKE_PIXELS);
    board.deliver_after = outgoing_size - first; /* the rest arrives while the first batch is computed */
    CHECK(exchange() == 2);
    CHECK(replies[0].type == TML_IDENTITY && replies[0].seq == 3);
    CHECK(is_result(&replies[1], 4, 1, true) && tml_load32(replies[1].payload + 4) == 9);
    CHECK(board.invokes < 4);
    end();
}

static void test_bytes_one_at_a_time(void) {
    begin("one byte at a time");
    board.chunk = 1;
    infer(TML_INFER, 1, TML_PIXELS, 0, 8, FAKE_PIXELS);
    infer(TML_INFER, 2, TML_PIXELS, 8, 8, FAKE_PIXELS);
    request(TML_ECHO, 3, "x", 1);
    CHECK(exchange() == 3);
    CHECK(is_result(&replies[0], 1, 8, true) && is_result(&replies[1], 2, 8, true) && replies[2].seq == 3);
    end();
}

static void test_overrun(void) {
    begin("overrun");
    request(TML_ECHO, 1, "lost in part", 12);
    outgoing_size -= 5;
    CHECK(exchange() == 0);
    board.next_read = TML_ERR_OVERRUN;
    CHECK(exchange() == 1);
    CHECK(is_error(&replies[0], TML_ERR_OVERRUN, 0, TML_NO_SAMPLE));
    /* The rest of the damaged frame is passed over without a second report. */
    memcpy(outgoing, "rest\0", 5);
    outgoing_size = 5;
    request(TML_ECHO, 2, "x", 1);
    CHECK(exchange() == 1);
    CHECK(replies[0].type == TML_ECHO_RESULT && replies[0].seq == 2);
    /* In the middle of a batch it is reported behind the batch. */
    infer(TML_INFER, 3, TML_PIXELS, 0, 4, FAKE_PIXELS);
    board.late_read = TML_ERR_OVERRUN;
    CHECK(exchange() == 2);
    CHECK(is_result(&replies[0], 3, 4, true));
    CHECK(is_error(&replies[1], TML_ERR_OVERRUN, 0, TML_NO_SAMPLE));
    end();
}

static void test_the_line_fails(void) {
    begin("line");
    board.next_read = TML_ERR_CLOSED;
    CHECK(tml_session_poll(&board.session, 0) == TML_ERR_CLOSED);
    request(TML_ECHO, 1, "x", 1);
    board.write_status = TML_ERR_IO;
    CHECK(fake_board_feed(&board, outgoing, outgoing_size) == TML_ERR_IO);
    outgoing_size = 0;
    infer(TML_INFER, 2, TML_PIXELS, 0, 8, FAKE_PIXELS - 1);
    CHECK(fake_board_feed(&board, outgoing, outgoing_size) == TML_ERR_IO);
    outgoing_size = 0;
    /* A host that goes away is noticed between two inferences. */
    board.write_status = TML_OK;
    board.late_read = TML_ERR_CLOSED;
    infer(TML_INFER, 3, TML_PIXELS, 0, 8, FAKE_PIXELS);
    CHECK(fake_board_feed(&board, outgoing, outgoing_size) == TML_ERR_CLOSED);
    CHECK(board.invokes < 8);
    end();
}

static void test_ticks_saturate_and_wrap(void) {
    begin("ticks");
    board.ticks_per_invoke = UINT64_C(0x100000001);
    infer(TML_INFER, 1, TML_PIXELS, 0, 1, FAKE_PIXELS);
    CHECK(exchange() == 1);
    CHECK(tml_load32(replies[0].payload + 8) == UINT32_MAX);
    board.port.tick_mask = 0xFFFFFF;
    board.ticks_now = 0xFFFFF0;
    board.ticks_per_invoke = 0x20;
    infer(TML_INFER, 2, TML_PIXELS, 0, 1, FAKE_PIXELS);
    CHECK(exchange() == 1);
    CHECK(tml_load32(replies[0].payload + 8) == 0x20);
    end();
}

static void test_log(void) {
    static char text[2 * FAKE_TX];
    begin("log");
    memset(text, 'x', sizeof text - 1);
    CHECK(tml_session_log(&board.session, "ready") == TML_OK && tml_session_log(&board.session, text) == TML_OK);
    CHECK(board.sent_size > FAKE_TX - 10 && board.sent_size <= FAKE_TX + 20);
    CHECK(board.sent[2] == TML_LOG && memcmp(board.sent + 5, "ready", 5) == 0);
    end();
}

static void test_configurations(void) {
    begin("configurations");
    const tml_config good = board.session.config;
    const tml_model model = board.model;
    tml_session session;
    tml_config c;
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        c = good;                                                                                                      \
        board.model = model;                                                                                           \
        check_name = #change;                                                                                          \
        change;                                                                                                        \
        CHECK(tml_session_init(&session, &c) == TML_ERR_CONFIG);                                                       \
    } while (0)
    CHECK(tml_session_init(&session, &good) == TML_OK);
    REFUSED(c.firmware_sha256 = "0123");
    REFUSED(c.firmware_sha256 = "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff");
    REFUSED(c.firmware_sha256 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0");
    REFUSED(c.rx_window = 2 * FAKE_FRAME - 1);
    REFUSED(c.tx_size = 560);
    REFUSED(c.rx_size = 0);
    REFUSED(c.frame_size = 63);
    REFUSED(c.store = NULL);
    REFUSED(board.model.input.rank = 0);
    REFUSED(board.model.input.rank = 7);
    REFUSED(board.model.input.dims[0] = 2);
    REFUSED(board.model.output.dims[1] = 0);
    REFUSED(board.model.output.dims[1] = 1 << 30);
    REFUSED(board.model.output.dtype = (tml_dtype)5);
    REFUSED(board.model.preprocess.lut = NULL);
    REFUSED(board.engine.load = NULL); /* the last: it stays */
    end();
}

/* ---- LOAD ---- */

enum { FILE_SIZE = 400, PACKAGE_SIZE = 192 + FILE_SIZE, PIECE = 150, PIECES = (PACKAGE_SIZE + PIECE - 1) / PIECE };

static uint8_t package[PACKAGE_SIZE];

/* A model of the fake's shape that does not preprocess; vectors test the layout. */
static void make_package(void) {
    memset(package, 0, sizeof package);
    memcpy(package, "TML1", 4);
    tml_store32(package + 4, FILE_SIZE);
    memcpy(package + 48, "uploaded", 8);
    const uint32_t input[] = {TML_INT8 | 3 << 8, 0x3F800000, 0, 1, 3, 4};
    const uint32_t output[] = {TML_INT8 | 2 << 8, 0x3F800000, 0, 1, FAKE_SCORES};
    for (size_t i = 0; i < 6; i++) {
        tml_store32(package + 112 + 4 * i, input[i]);
        tml_store32(package + 148 + 4 * i, i < 5 ? output[i] : 0);
    }
    memset(package + 192, 0xA5, FILE_SIZE);
    tml_sha256(package + 192, FILE_SIZE, package + 16);
}

static void load(uint16_t seq, uint32_t offset, uint32_t total, const uint8_t *data, size_t size) {
    uint8_t payload[8 + PIECE];
    tml_store32(payload, offset);
    tml_store32(payload + 4, total);
    memcpy(payload + 8, data, size);
    request(TML_LOAD, seq, payload, 8 + size);
}

static void load_piece(size_t n) {
    size_t offset = n * PIECE;
    size_t left = PACKAGE_SIZE - offset;
    load((uint16_t)(n + 1), (uint32_t)offset, PACKAGE_SIZE, package + offset, left < PIECE ? left : PIECE);
}

static void load_pieces(void) {
    for (size_t n = 0; n < PIECES; n++) {
        load_piece(n);
    }
}

static bool is_loaded(const reply *r, uint16_t seq, uint32_t received) {
    return r->type == TML_LOADED && r->seq == seq && r->size == 4 && tml_load32(r->payload) == received;
}

static const char *model_name(void) {
    request(TML_HELLO, 99, "\1\2\3\4", 4);
    CHECK(exchange() == 1);
    CHECK(replies[0].type == TML_IDENTITY);
    return memcmp(replies[0].payload + 68, package + 16, 32) == 0 ? "uploaded" : "own";
}

static void test_load(void) {
    make_package();
    begin("load");
    load_pieces();
    CHECK(exchange() == PIECES);
    CHECK(is_loaded(&replies[0], 1, PIECE) && is_loaded(&replies[PIECES - 1], PIECES, PACKAGE_SIZE));
    CHECK(board.loaded == board.store + 192 && board.loaded_size == FILE_SIZE && board.inits == 2);
    CHECK(board.described == &board.session.loaded);
    CHECK(memcmp(board.loaded, package + 192, FILE_SIZE) == 0);
    CHECK(strcmp(model_name(), "uploaded") == 0);
    CHECK(replies[0].payload[5] == 0x0C); /* it has no preprocessing: tensors only */
    infer(TML_INFER, 7, TML_TENSOR, 3, 1, FAKE_PIXELS);
    infer(TML_INFER, 8, TML_PIXELS, 3, 1, FAKE_PIXELS);
    CHECK(exchange() == 2);
    CHECK(is_result(&replies[0], 7, 1, true) && replies[0].payload[12] == 3);
    CHECK(is_error(&replies[1], TML_ERR_BAD_ENCODING, 8, TML_NO_SAMPLE));
    load_pieces(); /* the same again: HELLO came between */
    CHECK(exchange() == PIECES);
    CHECK(board.loaded != NULL && strcmp(model_name(), "uploaded") == 0);
    end();
}

static void test_load_repeated_and_missing_pieces(void) {
    make_package();
    begin("load repeated");
    load_piece(0);
    load_piece(1);
    load_piece(1);
    load_piece(0);
    load_piece(3); /* not yet */
    load_piece(2);
    load_piece(3);
    load_piece(3);
    CHECK(exchange() == 8);
    CHECK(is_loaded(&replies[2], 2, 2 * PIECE) && is_loaded(&replies[3], 1, 2 * PIECE));
    CHECK(is_error(&replies[4], TML_ERR_BAD_PAYLOAD, 4, TML_NO_SAMPLE));
    CHECK(is_loaded(&replies[5], 3, 3 * PIECE));
    CHECK(is_loaded(&replies[6], 4, PACKAGE_SIZE) && is_loaded(&replies[7], 4, PACKAGE_SIZE));
    CHECK(board.inits == 2 && strcmp(model_name(), "uploaded") == 0);
    end();
}

static void test_load_refused(void) {
    make_package();
    begin("load refused");
    load(1, 0, FAKE_STORE + 1, package, PIECE);
    load(2, 0, 0, package, PIECE);
    CHECK(exchange() == 2);
    CHECK(is_error(&replies[0], TML_ERR_TOO_LARGE, 1, TML_NO_SAMPLE));
    CHECK(is_error(&replies[1], TML_ERR_BAD_PAYLOAD, 2, TML_NO_SAMPLE));
    package[192] ^= 1; /* not the file that it says it is */
    load_pieces();
    CHECK(exchange() == PIECES);
    CHECK(is_error(&replies[PIECES - 1], TML_ERR_BAD_PAYLOAD, PIECES, TML_NO_SAMPLE));
    make_package();
    tml_store32(package + 148 + 16, 1000); /* scores that no reply could hold */
    load_pieces();
    CHECK(exchange() == PIECES);
    CHECK(is_error(&replies[PIECES - 1], TML_ERR_BAD_PAYLOAD, PIECES, TML_NO_SAMPLE));
    CHECK(board.loaded == NULL && board.inits == 1 && strcmp(model_name(), "own") == 0);
    end();
}

static void test_load_that_the_engine_refuses(void) {
    make_package();
    begin("load refused by the engine");
    board.load_status = -55;
    load_pieces();
    infer(TML_INFER, 7, TML_PIXELS, 3, 1, FAKE_PIXELS);
    CHECK(exchange() == PIECES + 1);
    CHECK(is_error(&replies[PIECES - 1], TML_ERR_ENGINE, PIECES, TML_NO_SAMPLE));
    CHECK(is_result(&replies[PIECES], 7, 1, true)); /* the own model still works */
    CHECK(board.loaded == NULL && board.described == &board.model && strcmp(model_name(), "own") == 0);
    end();
}

static void test_load_in_part_leaves_the_own_model(void) {
    make_package();
    begin("load in part");
    load_pieces();
    CHECK(exchange() == PIECES);
    CHECK(strcmp(model_name(), "uploaded") == 0);
    load_piece(0); /* overwrites what the engine executes */
    CHECK(exchange() == 1);
    CHECK(board.loaded == NULL && strcmp(model_name(), "own") == 0);
    infer(TML_INFER, 7, TML_PIXELS, 3, 1, FAKE_PIXELS);
    CHECK(exchange() == 1);
    CHECK(is_result(&replies[0], 7, 1, true));
    end();
}

static void test_a_new_session_has_the_own_model(void) {
    make_package();
    begin("load and a new session");
    load_pieces();
    CHECK(exchange() == PIECES);
    CHECK(board.loaded != NULL);
    const tml_config config = board.session.config;
    CHECK(tml_session_init(&board.session, &config) == TML_OK);
    CHECK(board.loaded == NULL && strcmp(model_name(), "own") == 0);
    end();
}

static void test_the_engine_says_why(void) {
    begin("the engine's words");
    board.words = "operator 3 is missing";
    board.fail_invoke = 1;
    infer(TML_INFER, 7, TML_PIXELS, 3, 1, FAKE_PIXELS);
    CHECK(exchange() == 2);
    CHECK(is_error(&replies[0], TML_ERR_ENGINE, 7, 3));
    CHECK(memcmp(replies[0].payload + 6, board.words, strlen(board.words)) == 0);
    end();
}

static void test_load_where_it_is_not_offered(void) {
    fake_board_setup(&board);
    check_name = "load not offered";
    CHECK(fake_board_start(&board) == TML_OK);
    board.session.config.load = NULL;
    load(1, 0, PACKAGE_SIZE, package, PIECE);
    request(TML_HELLO, 2, "\1\2\3\4", 4);
    CHECK(exchange() == 2);
    CHECK(is_error(&replies[0], TML_ERR_UNKNOWN_TYPE, 1, TML_NO_SAMPLE));
    CHECK(tml_load16(replies[1].payload + 6) == 0);
    end();
}

int main(void) {
    test_hello();
    test_infer();
    test_infer_tensor_is_not_preprocessed();
    test_infer_packed();
    test_results_stream_when_the_buffer_fills();
    test_a_slow_board_shows_what_it_has();
    test_bad_samples();
    test_failed_inference();
    test_canary();
    test_encodings_not_offered();
    test_refused_frames();
    test_stats();
    test_reset();
    test_hello_drops_earlier_requests();
    test_bytes_one_at_a_time();
    test_overrun();
    test_the_line_fails();
    test_ticks_saturate_and_wrap();
    test_log();
    test_configurations();
    test_load();
    test_load_repeated_and_missing_pieces();
    test_load_refused();
    test_load_that_the_engine_refuses();
    test_load_in_part_leaves_the_own_model();
    test_load_where_it_is_not_offered();
    test_a_new_session_has_the_own_model();
    test_the_engine_says_why();
    return check_result("test_session");
}
