/* libFuzzer: any bytes as commands of MLPerf Tiny's protocol, cut anywhere. Every command is answered once, in lines of
 * printable characters, and whatever is loaded stays within the buffers. */
#include "blocks.h"
#include "fuzz.h"
#include "tml_mlperf.h"

#define PIXELS 40U
#define CLASSES 7U
#define MOST_INFERENCES 60U /* so that `infer 4000000000` ends */

typedef struct {
    const uint8_t *data; /* still to be read */
    size_t size, step;
    uint32_t sum; /* of all that was said, with its order */
    uint32_t ready, refused, inferences, now;
    char last;
    uint8_t *input;
    int8_t output[CLASSES];
} board;

static board *the_board; /* the engine's operations have no context */

static int32_t port_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    board *b = context;
    size_t piece = b->size < b->step ? b->size : b->step;
    (void)timeout_ms;
    if (b->size == 0) {
        return TML_ERR_CLOSED;
    }
    piece = piece < capacity ? piece : capacity;
    memcpy(data, b->data, piece);
    b->data += piece;
    b->size -= piece;
    return (int32_t)piece;
}

static int port_write(void *context, const uint8_t *data, size_t size) {
    board *b = context;
    REQUIRE(size != 0);
    /* Lines are whole but for results, which come in parts. */
    REQUIRE(b->last == '\n' || data[0] != 'm');
    b->ready += size == 9 && memcmp(data, "m-ready\r\n", 9) == 0 ? 1U : 0U;
    for (size_t i = 0; i < size; i++) {
        REQUIRE(data[i] != '\n' || (i != 0 && data[i - 1] == '\r'));
        b->sum = b->sum * 31U + data[i];
    }
    b->last = (char)data[size - 1];
    return TML_OK;
}

static uint64_t port_ticks(void *context) {
    board *b = context;
    return ++b->now;
}

static int engine_init(tml_engine *engine) {
    (void)engine;
    return TML_OK;
}

static void *engine_input(tml_engine *engine) {
    (void)engine;
    return the_board->input;
}

static int engine_invoke(tml_engine *engine) {
    (void)engine;
    for (size_t i = 0; i < PIXELS; i++) {
        the_board->output[i % CLASSES] = (int8_t)(the_board->output[i % CLASSES] ^ (int8_t)the_board->input[i]);
    }
    return ++the_board->inferences < MOST_INFERENCES ? TML_OK : TML_ERR_ENGINE;
}

static const void *engine_output(tml_engine *engine) {
    (void)engine;
    return the_board->output;
}

static uint32_t run(const uint8_t *data, size_t size, size_t step) {
    static const tml_model model = {
        .name = "fuzzed",
        .input = {TML_INT8, 2, {1, PIXELS}, 1.0f, 0},
        .output = {TML_INT8, 2, {1, CLASSES}, 0.3f, -5},
    };
    static tml_engine engine = {
        .name = "xor", .init = engine_init, .input = engine_input, .invoke = engine_invoke, .output = engine_output};
    board b = {.data = data, .size = size, .step = step, .last = '\n', .input = exact_block(PIXELS)};
    const tml_port port = {
        .context = &b, .read = port_read, .write = port_write, .ticks = port_ticks, .tick_hz = 1000, .board = "fuzzed"};
    const tml_mlperf_config config = {
        .port = &port,
        .engine = &engine,
        .model = &model,
        .vendor = "fuzzer",
        .profile = "none",
        .buffer = exact_block(PIXELS),
        .buffer_size = PIXELS,
        .tensor = exact_block(PIXELS),
        .digits = 3,
    };
    tml_mlperf device;
    uint32_t commands = 0;
    for (size_t i = 0; i < size; i++) {
        commands += data[i] == '%' ? 1U : 0U;
    }
    the_board = &b;
    REQUIRE(tml_mlperf_init(&device, &config) == TML_OK);
    while (tml_mlperf_poll(&device, 0) == TML_OK) {
        REQUIRE(device.loaded <= device.expected && device.expected <= PIXELS);
        REQUIRE(device.command_size <= TML_MLPERF_COMMAND);
    }
    REQUIRE(b.ready == commands + 1U && b.last == '\n');
    free(config.buffer);
    free(config.tensor);
    free(b.input);
    return b.sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size != 0) {
        REQUIRE(run(data + 1, size - 1, size) == run(data + 1, size - 1, 1U + data[0] % 16U));
    }
    return 0;
}
