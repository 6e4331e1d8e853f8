#include "fake_board.h"

#include "blocks.h"

static const int8_t negative[256] = {0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12};

static fake_board *of_engine(tml_engine *engine) {
    return (fake_board *)(void *)engine;
}

static int fake_init(tml_engine *engine) {
    of_engine(engine)->inits++;
    return of_engine(engine)->init_status;
}

static void *fake_input(tml_engine *engine) {
    return of_engine(engine)->input;
}

/* Scores: the first, the last and the sum of the inputs. */
static int fake_invoke(tml_engine *engine) {
    fake_board *board = of_engine(engine);
    uint8_t sum = 0;
    for (size_t i = 0; i < FAKE_PIXELS; i++) {
        sum = (uint8_t)(sum + board->input[i]);
    }
    board->output[0] = board->input[0];
    board->output[1] = board->input[FAKE_PIXELS - 1];
    board->output[2] = sum;
    board->invokes++;
    board->now_ms += board->ms_per_invoke;
    board->ticks_now += board->ticks_per_invoke;
    return board->invokes == board->fail_invoke ? -42 : TML_OK;
}

static const void *fake_output(tml_engine *engine) {
    return of_engine(engine)->output;
}

static uint32_t fake_arena_used(const tml_engine *engine) {
    (void)engine;
    return 100;
}

static uint32_t fake_arena_capacity(const tml_engine *engine) {
    (void)engine;
    return 200;
}

static int fake_load(tml_engine *engine, const tml_model *model, const void *file, size_t size) {
    fake_board *board = of_engine(engine);
    board->described = model;
    board->loaded = file;
    board->loaded_size = size;
    return file == NULL ? TML_OK : board->load_status;
}

static const char *fake_why(const tml_engine *engine) {
    return ((const fake_board *)(const void *)engine)->words;
}

static int32_t fake_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    fake_board *board = context;
    (void)timeout_ms;
    if (board->next_read < 0) {
        int32_t status = board->next_read;
        board->next_read = 0;
        return status;
    }
    if (board->late_read < 0 && board->invokes != 0) {
        board->next_read = board->late_read;
        board->late_read = 0;
        return fake_read(context, data, capacity, timeout_ms);
    }
    size_t size = board->incoming_size;
    if (board->invokes == 0) {
        size = size > board->deliver_after ? size - board->deliver_after : 0;
    }
    size = size < capacity ? size : capacity;
    if (board->chunk != 0 && size > board->chunk) {
        size = board->chunk;
    }
    memcpy(data, board->incoming, size);
    board->incoming += size;
    board->incoming_size -= size;
    return (int32_t)size;
}

static int fake_write(void *context, const uint8_t *data, size_t size) {
    fake_board *board = context;
    if (board->write_status != TML_OK) {
        return board->write_status;
    }
    if (size > sizeof board->sent - board->sent_size) {
        board->sent_size = 0; /* only the fuzzer sends so much, and it has looked at it */
    }
    memcpy(board->sent + board->sent_size, data, size);
    board->sent_size += size;
    return TML_OK;
}

static uint64_t fake_ticks(void *context) {
    return ((fake_board *)context)->ticks_now & ((fake_board *)context)->port.tick_mask;
}

static uint32_t fake_uptime_ms(void *context) {
    return ((fake_board *)context)->now_ms++;
}

static void fake_log(void *context, const char *text) {
    (void)text;
    ((fake_board *)context)->logs++;
}

static void fake_restart(void *context) {
    ((fake_board *)context)->restarts++;
}

static bool fake_stat(void *context, tml_stat key, uint64_t *value) {
    (void)context;
    *value = 4321;
    return key == TML_STAT_LEAST_FREE_STACK;
}

void fake_board_setup(fake_board *board) {
    memset(board, 0, sizeof *board);
    board->rx = exact_block(FAKE_RX);
    board->frame = exact_block(FAKE_FRAME);
    board->tx = exact_block(FAKE_TX);
    board->input = exact_block(FAKE_PIXELS);
    board->output = exact_block(FAKE_SCORES);
    board->store = exact_block(FAKE_STORE);
    board->engine = (tml_engine){
        .name = "fake",
        .init = fake_init,
        .input = fake_input,
        .invoke = fake_invoke,
        .output = fake_output,
        .arena_used = fake_arena_used,
        .arena_capacity = fake_arena_capacity,
        .load = fake_load,
        .why = fake_why,
    };
    board->words = "";
    board->model = (tml_model){
        .name = "fake",
        .sha256 = {1, 2, 3},
        .input = {TML_INT8, 3, {1, 3, 4}, 1.0F, 0},
        .output = {TML_INT8, 2, {1, FAKE_SCORES}, 1.0F, 0},
        .preprocess = {.kind = TML_PRE_LUT, .lut = negative},
    };
    board->port = (tml_port){
        .context = board,
        .read = fake_read,
        .write = fake_write,
        .ticks = fake_ticks,
        .uptime_ms = fake_uptime_ms,
        .log = fake_log,
        .restart = fake_restart,
        .stat = fake_stat,
        .board = "fake",
        .chip = "none",
        .clock = TML_CLOCK_CYCLES,
        .tick_hz = 1000,
        .tick_mask = UINT64_MAX,
    };
    board->ticks_per_invoke = 77;
}

int fake_board_start(fake_board *board) {
    tml_config config = {
        .port = &board->port,
        .engine = &board->engine,
        .model = &board->model,
        .firmware_version = "1.2.3",
        .firmware_sha256 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        .rx = board->rx,
        .rx_size = FAKE_RX,
        .frame = board->frame,
        .frame_size = FAKE_FRAME,
        .tx = board->tx,
        .tx_size = FAKE_TX,
        .rx_window = 2 * FAKE_FRAME,
        .load = tml_session_load,
        .store = board->store,
        .store_size = FAKE_STORE,
    };
    return tml_session_init(&board->session, &config);
}

int fake_board_new(fake_board *board) {
    fake_board_setup(board);
    return fake_board_start(board);
}

void fake_board_free(fake_board *board) {
    free(board->rx);
    free(board->frame);
    free(board->tx);
    free(board->input);
    free(board->output);
    free(board->store);
}

int fake_board_feed(fake_board *board, const uint8_t *data, size_t size) {
    board->incoming = data;
    board->incoming_size = size;
    int status;
    do {
        status = tml_session_poll(&board->session, 0);
    } while (status == TML_OK && board->incoming_size != 0);
    return status;
}
