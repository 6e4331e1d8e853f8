/* The golden vectors of tests/vectors/ through the codec: the same that the Python codec passes. */
#include "blocks.h"
#include "check.h"
#include "vectors.h"

static bool same(const uint8_t *data, size_t size, test_blob expected) {
    return size == expected.size && memcmp(data, expected.data, size) == 0;
}

static bool known_type(uint8_t type) {
    return (type >= TML_HELLO && type <= TML_LOAD) || (type >= TML_IDENTITY && type <= TML_LOADED) || type == TML_LOG ||
           type == TML_ERROR;
}

/* Feeds a stream in pieces of `step` bytes. The type is the session's to check: see test_session.c. */
static void receive_stream(const test_stream *vector, size_t step) {
    uint8_t *buffer = exact_block(vector->max_frame);
    tml_receiver receiver;
    size_t seen = 0;
    tml_receiver_init(&receiver, buffer, vector->max_frame);
    for (size_t at = 0; at < vector->stream.size;) {
        size_t piece = vector->stream.size - at < step ? vector->stream.size - at : step;
        uint8_t *data = exact_copy(vector->stream.data + at, piece);
        size_t used = 0;
        tml_frame frame;
        int status = tml_receive(&receiver, data, piece, &used, &frame);
        free(data);
        at += used;
        CHECK(used <= piece && (used > 0 || piece == 0));
        if (status == 0) {
            CHECK(used == piece);
            continue;
        }
        CHECK(seen < vector->count);
        if (seen >= vector->count) {
            break;
        }
        const test_event *event = &vector->events[seen++];
        if (status == 1 && !known_type(frame.type)) {
            status = TML_ERR_UNKNOWN_TYPE;
        }
        CHECK(status == (event->error != 0 ? -event->error : 1));
        CHECK(frame.seq == event->seq);
        if (status == 1) {
            CHECK(frame.type == event->type);
            CHECK(same(frame.payload, frame.size, event->payload));
        }
    }
    CHECK(seen == vector->count);
    free(buffer);
}

static void encode_event(const test_stream *vector) {
    const test_event *event = &vector->events[0];
    size_t capacity = event->payload.size + TML_FRAME_OVERHEAD;
    while (capacity < tml_payload_offset(capacity) + event->payload.size + 4) {
        capacity++;
    }
    CHECK(tml_payload_capacity(capacity) == event->payload.size);
    CHECK(capacity - event->payload.size < 16 + event->payload.size / 200);
    uint8_t *buffer = exact_block(capacity);
    memcpy(buffer + tml_payload_offset(capacity), event->payload.data, event->payload.size);
    size_t size = tml_frame_encode(buffer, capacity, (tml_type)event->type, event->seq, event->payload.size);
    CHECK(size <= capacity);
    CHECK(same(buffer, size, vector->stream));
    free(buffer);
}

static void test_frames(void) {
    for (size_t i = 0; i < TEST_STREAMS_COUNT; i++) {
        const test_stream *vector = &test_streams[i];
        check_name = vector->name;
        receive_stream(vector, vector->stream.size != 0 ? vector->stream.size : 1);
        receive_stream(vector, 1);
        receive_stream(vector, 7);
        if (vector->canonical) {
            encode_event(vector);
        }
    }
}

static void test_requests_decode(void) {
    for (size_t i = 0; i < TEST_REQUESTS_COUNT; i++) {
        const test_request *vector = &test_requests[i];
        uint8_t *payload = exact_copy(vector->payload.data, vector->payload.size);
        size_t size = vector->payload.size;
        int expected = -vector->error;
        check_name = vector->name;
        if (vector->type == TML_HELLO) {
            uint32_t session = 0;
            CHECK(tml_decode_hello(payload, size, &session) == expected);
            CHECK(vector->error != 0 || session == vector->number);
        } else if (vector->type == TML_RESET) {
            uint8_t kind = 0xFF;
            CHECK(tml_decode_reset(payload, size, &kind) == expected);
            CHECK(vector->error != 0 || kind == vector->number);
        } else if (vector->type == TML_LOAD) {
            tml_piece piece;
            int status = tml_decode_load(payload, size, &piece);
            CHECK(status == expected);
            if (status == TML_OK) {
                CHECK(piece.total == vector->number && piece.offset == vector->samples[0].id);
                CHECK(same(piece.data, piece.size, vector->samples[0].data));
            }
        } else {
            tml_infer infer;
            int status = tml_decode_infer(payload, size, vector->type, &infer);
            CHECK(status == expected);
            if (status == TML_OK) {
                tml_sample sample;
                CHECK(infer.encoding == vector->number);
                for (size_t n = 0; n < vector->count; n++) {
                    CHECK(tml_next_sample(&infer, &sample));
                    CHECK(sample.id == vector->samples[n].id);
                    CHECK(same(sample.data, sample.length, vector->samples[n].data));
                }
                CHECK(!tml_next_sample(&infer, &sample));
            }
        }
        free(payload);
    }
}

static void test_replies_encode(void) {
    for (size_t i = 0; i < TEST_IDENTITIES_COUNT; i++) {
        const test_identity *vector = &test_identities[i];
        size_t size = vector->payload.size;
        check_name = vector->name;
        for (size_t capacity = 0; capacity <= size; capacity++) {
            uint8_t *out = exact_block(capacity);
            size_t written = tml_encode_identity(out, capacity, &vector->identity);
            CHECK(capacity < size ? written == 0 : same(out, written, vector->payload));
            free(out);
        }
    }
    for (size_t i = 0; i < TEST_RESULT_MESSAGES_COUNT; i++) {
        const test_results *vector = &test_result_messages[i];
        uint8_t *out = exact_block(vector->payload.size);
        size_t at = TML_RESULT_HEADER;
        check_name = vector->name;
        tml_encode_result_header(out, (uint16_t)vector->count, vector->last);
        for (size_t n = 0; n < vector->count; n++) {
            const test_result *result = &vector->results[n];
            tml_encode_result(out + at, result->id, result->ticks, result->scores.data, result->scores.size);
            at += TML_RESULT_OVERHEAD + result->scores.size;
        }
        CHECK(same(out, at, vector->payload));
        free(out);
    }
    for (size_t i = 0; i < TEST_CANARIES_COUNT; i++) {
        const test_canary *vector = &test_canaries[i];
        uint8_t *out = exact_block(vector->payload.size);
        check_name = vector->name;
        tml_encode_canary_result(out, vector->id, vector->ticks, vector->crc, vector->scores.data, vector->scores.size);
        CHECK(same(out, TML_CANARY_OVERHEAD + vector->scores.size, vector->payload));
        free(out);
    }
    for (size_t i = 0; i < TEST_STAT_MESSAGES_COUNT; i++) {
        const test_stats *vector = &test_stat_messages[i];
        uint8_t *out = exact_block(vector->payload.size);
        check_name = vector->name;
        out[0] = (uint8_t)vector->count;
        for (size_t n = 0; n < vector->count; n++) {
            tml_encode_stat(out + 1 + n * TML_STAT_BYTES, vector->stats[n].key, vector->stats[n].value);
        }
        CHECK(same(out, 1 + vector->count * TML_STAT_BYTES, vector->payload));
        free(out);
    }
}

static void test_errors_encode(void) {
    for (size_t i = 0; i < TEST_ERRORS_COUNT; i++) {
        const test_error *vector = &test_errors[i];
        check_name = vector->name;
        for (size_t capacity = 0; capacity <= vector->payload.size + 2; capacity++) {
            uint8_t *out = exact_block(capacity);
            size_t size = tml_encode_error(out, capacity, -vector->code, vector->sample_id, vector->text);
            CHECK(size <= capacity);
            CHECK(capacity >= 6 ? size >= 6 && memcmp(out, vector->payload.data, size) == 0 : size == 0);
            /* Never half of a UTF-8 character. */
            CHECK(size == vector->payload.size || (vector->payload.data[size] & 0xC0U) != 0x80U);
            CHECK(capacity < vector->payload.size || size == vector->payload.size);
            free(out);
        }
    }
}

static void test_inflate(void) {
    for (size_t i = 0; i < TEST_PACKED_SAMPLES_COUNT; i++) {
        const test_packed *vector = &test_packed_samples[i];
        uint8_t *data = exact_copy(vector->data.data, vector->data.size);
        uint8_t *out = exact_block(vector->size);
        check_name = vector->name;
        int status = tml_inflate(data, vector->data.size, out, vector->size);
        CHECK(status == (vector->good ? TML_OK : TML_ERR_BAD_SAMPLE));
        CHECK(!vector->good || tml_crc32(0, out, vector->size) == vector->crc);
        free(out);
        free(data);
    }
}

static void test_preprocessing(void) {
    for (size_t i = 0; i < TEST_PREPROCESSINGS_COUNT; i++) {
        const test_preprocess *vector = &test_preprocessings[i];
        size_t size = vector->pixels.size;
        uint8_t *pixels = exact_copy(vector->pixels.data, size);
        uint8_t *out = exact_block(size);
        check_name = vector->name;
        CHECK(tml_tensor_elements(&vector->tensor) == size);
        CHECK(tml_preprocess_check(&vector->preprocess, &vector->tensor) == TML_OK);
        tml_preprocess_run(&vector->preprocess, &vector->tensor, pixels, out);
        CHECK(same(out, size, vector->output));
        /* In place, as packed pixels are. */
        tml_preprocess_run(&vector->preprocess, &vector->tensor, pixels, pixels);
        CHECK(same(pixels, size, vector->output));
        free(out);
        free(pixels);
    }
}

static void test_preprocess_check(void) {
    static const uint64_t rising[] = {5, 9}, falling[] = {9, 5}, zero[] = {0, 5},
                          large[] = {5, (UINT64_C(1) << 40) + 1};
    static const int8_t lut[256] = {0};
    const tml_tensor bytes = {TML_INT8, 3, {1, 4, 6}, 0.5F, 0};
    const tml_tensor words = {TML_INT16, 3, {1, 4, 6}, 0.5F, 0};
    const tml_tensor high = {TML_INT8, 3, {1, 4, 6}, 0.5F, 126};
    const tml_tensor tall = {TML_INT8, 3, {1, 259, 1}, 0.5F, 0};
    const struct {
        const char *name;
        tml_preprocess preprocess;
        const tml_tensor *tensor;
        int expected;
    } cases[] = {
        {"none", {TML_PRE_NONE, NULL, NULL, 0, 0}, &words, TML_OK},
        {"lut", {TML_PRE_LUT, lut, NULL, 0, 0}, &bytes, TML_OK},
        {"lut missing", {TML_PRE_LUT, NULL, NULL, 0, 0}, &bytes, TML_ERR_CONFIG},
        {"lut of words", {TML_PRE_LUT, lut, NULL, 0, 0}, &words, TML_ERR_CONFIG},
        {"l2", {TML_PRE_L2AXIS1, NULL, rising, 2, 6}, &bytes, TML_OK},
        {"l2 of words", {TML_PRE_L2AXIS1, NULL, rising, 2, 6}, &words, TML_ERR_CONFIG},
        {"l2 falling", {TML_PRE_L2AXIS1, NULL, falling, 2, 6}, &bytes, TML_ERR_CONFIG},
        {"l2 zero", {TML_PRE_L2AXIS1, NULL, zero, 2, 6}, &bytes, TML_ERR_CONFIG},
        {"l2 large", {TML_PRE_L2AXIS1, NULL, large, 2, 6}, &bytes, TML_ERR_CONFIG},
        {"l2 missing", {TML_PRE_L2AXIS1, NULL, NULL, 2, 6}, &bytes, TML_ERR_CONFIG},
        {"l2 row 0", {TML_PRE_L2AXIS1, NULL, rising, 2, 0}, &bytes, TML_ERR_CONFIG},
        {"l2 row 5", {TML_PRE_L2AXIS1, NULL, rising, 2, 5}, &bytes, TML_ERR_CONFIG},
        {"l2 beyond int8", {TML_PRE_L2AXIS1, NULL, rising, 2, 6}, &high, TML_ERR_CONFIG},
        {"l2 too tall", {TML_PRE_L2AXIS1, NULL, rising, 2, 1}, &tall, TML_ERR_CONFIG},
        {"unknown", {(tml_preprocess_kind)3, lut, rising, 2, 6}, &bytes, TML_ERR_CONFIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_name = cases[i].name;
        CHECK(tml_preprocess_check(&cases[i].preprocess, cases[i].tensor) == cases[i].expected);
    }
}

static void test_crc(void) {
    check_name = "crc";
    /* The check value of CRC-32/ISO-HDLC, and going on from a part. */
    CHECK(tml_crc32(0, "123456789", 9) == 0xCBF43926U);
    CHECK(tml_crc32(tml_crc32(0, "1234", 4), "56789", 5) == 0xCBF43926U);
    CHECK(tml_crc32(0, "", 0) == 0);
}

static void test_find_zero(void) {
    check_name = "find zero";
    for (size_t size = 0; size < 20; size++) {
        for (size_t zero = 0; zero <= size; zero++) {
            uint8_t *data = exact_block(size);
            memset(data, zero % 2 == 0 ? 0x80 : 0x01, size); /* both borrow and top bit mislead a wrong word test */
            if (zero < size) {
                data[zero] = 0;
            }
            CHECK(tml_find_zero(data, size) == zero);
            free(data);
        }
    }
}

static bool same_tensor(const tml_tensor *a, const tml_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank && memcmp(a->dims, b->dims, sizeof a->dims) == 0 &&
           memcmp(&a->scale, &b->scale, sizeof a->scale) == 0 && a->zero_point == b->zero_point;
}

static void test_packages_open(void) {
    for (size_t i = 0; i < TEST_PACKAGES_COUNT; i++) {
        const test_package *vector = &test_packages[i];
        uint8_t *package = exact_copy(vector->package.data, vector->package.size);
        const uint8_t *file;
        size_t size;
        tml_model model;
        check_name = vector->name;
        int status = tml_package_open(package, vector->package.size, &model, &file, &size);
        CHECK(status == (vector->good ? TML_OK : TML_ERR_BAD_PAYLOAD));
        if (status == TML_OK) {
            CHECK(strcmp(model.name, vector->model) == 0);
            CHECK(model.preprocess.kind == vector->kind && model.preprocess.row == vector->row);
            CHECK(same_tensor(&model.input, &vector->input) && same_tensor(&model.output, &vector->output));
            CHECK(same(file, size, vector->file));
            CHECK(((uintptr_t)file - (uintptr_t)package) % 16 == 0);
            CHECK(tml_preprocess_check(&model.preprocess, &model.input) == TML_OK);
        }
        free(package);
    }
}

int main(void) {
    test_crc();
    test_find_zero();
    test_frames();
    test_requests_decode();
    test_replies_encode();
    test_errors_encode();
    test_inflate();
    test_preprocessing();
    test_preprocess_check();
    test_packages_open();
    return check_result("test_vectors");
}
