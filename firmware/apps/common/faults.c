#include "faults.h"

#include <string.h>

#define MAX_FAULTS 4U
#define NO_COUNT 0U

typedef enum {
    DEATH,
    ENGINE_ERROR,
    CORRUPT_TX,
    TRUNCATE_TX,
    DROP_TX,
    CORRUPT_RX,
    STATE,
    WEIGHTS,
    SLOW,
} fault_kind;

static const struct {
    const char *name;
    fault_kind kind;
    bool counted;
} known[] = {
    {"engine-error", ENGINE_ERROR, true}, {"corrupt-tx", CORRUPT_TX, true}, {"truncate-tx", TRUNCATE_TX, true},
    {"drop-tx", DROP_TX, true},           {"corrupt-rx", CORRUPT_RX, true}, {"state", STATE, false},
    {"weights", WEIGHTS, false},
};

typedef struct {
    fault_kind kind;
    const char *text;     /* the specification */
    void (*happen)(void); /* DEATH */
    uint32_t count;       /* NO_COUNT: not by count */
    uint32_t sample;      /* TML_NO_SAMPLE: not by sample */
    uint32_t us;          /* SLOW */
} fault;

/* The firmware has one engine and one port; so there is one set of faults. */
static struct {
    tml_engine engine;
    const fault_board *board;
    tml_engine *inner_engine;
    tml_port inner_port;
    const tml_session *session;
    size_t input_bytes, output_bytes;
    fault list[MAX_FAULTS];
    uint32_t used;
    uint32_t inferences, frames, chunks;
    uint32_t history; /* CRC of every input so far */
} f;

/* A number to the end of the text, at most 32 bits; false if there is none. */
static bool parse_number(const char *text, uint32_t *value) {
    uint64_t number = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(*text - '0');
        if (number > UINT32_MAX) {
            return false;
        }
    }
    *value = (uint32_t)number;
    return true;
}

/* The text behind `name`, or NULL if it does not begin with it. */
static const char *behind(const char *text, const char *name) {
    while (*name != '\0') {
        if (*text++ != *name++) {
            return NULL;
        }
    }
    return text;
}

static bool parse_turn(const char *rest, fault *one) {
    if (*rest == '@') {
        return parse_number(rest + 1, &one->count) && one->count != NO_COUNT;
    }
    return *rest == '#' && (one->kind == DEATH || one->kind == ENGINE_ERROR) && parse_number(rest + 1, &one->sample) &&
           one->sample != TML_NO_SAMPLE;
}

static bool parse(const char *text, fault *one) {
    const char *rest = behind(text, "slow=");
    if (rest != NULL) {
        one->kind = SLOW;
        return f.board->wait_us != NULL && parse_number(rest, &one->us);
    }
    for (const fault_death *death = f.board->deaths; death->name != NULL; death++) {
        rest = behind(text, death->name);
        if (rest != NULL && (*rest == '@' || *rest == '#')) {
            one->happen = death->happen;
            return parse_turn(rest, one);
        }
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        rest = behind(text, known[i].name);
        if (rest != NULL) {
            one->kind = known[i].kind;
            return known[i].counted ? parse_turn(rest, one) : *rest == '\0';
        }
    }
    return false;
}

void faults_init(const fault_board *board) {
    memset(&f, 0, sizeof f);
    f.board = board;
}

bool faults_add(const char *specification) {
    fault one = {.kind = DEATH, .text = specification, .sample = TML_NO_SAMPLE};
    if (f.used == MAX_FAULTS || !parse(specification, &one)) {
        return false;
    }
    f.list[f.used++] = one;
    return true;
}

/* Is it the turn of a fault of this kind? */
static const fault *due(fault_kind kind, uint32_t count) {
    for (uint32_t i = 0; i < f.used; i++) {
        const fault *one = &f.list[i];
        bool turn = one->count == count || (one->sample != TML_NO_SAMPLE && f.session->busy_sample == one->sample);
        if (one->kind == kind && turn && (f.board->may_happen == NULL || f.board->may_happen(one->text))) {
            return one;
        }
    }
    return NULL;
}

static const fault *always(fault_kind kind) {
    for (uint32_t i = 0; i < f.used; i++) {
        if (f.list[i].kind == kind) {
            return &f.list[i];
        }
    }
    return NULL;
}

static int engine_init(tml_engine *engine) {
    (void)engine;
    return f.inner_engine->init(f.inner_engine);
}

static void *engine_input(tml_engine *engine) {
    (void)engine;
    return f.inner_engine->input(f.inner_engine);
}

static const void *engine_output(tml_engine *engine) {
    (void)engine;
    return f.inner_engine->output(f.inner_engine);
}

static int engine_invoke(tml_engine *engine) {
    f.inferences++;
    const fault *death = due(DEATH, f.inferences);
    if (death != NULL) {
        death->happen();
    }
    if (due(ENGINE_ERROR, f.inferences) != NULL) {
        return TML_ERR_ENGINE;
    }
    const fault *slow = always(SLOW);
    if (slow != NULL) {
        f.board->wait_us(slow->us);
    }
    uint32_t history = tml_crc32(f.history, engine_input(engine), f.input_bytes);
    int status = f.inner_engine->invoke(f.inner_engine);
    /* The buffer is the engine's own and not constant: only the view that it gives is. */
    uint8_t *scores = (uint8_t *)(uintptr_t)engine_output(engine);
    for (size_t i = 0; always(STATE) != NULL && i < f.output_bytes && i < sizeof f.history; i++) {
        scores[i] ^= (uint8_t)(f.history >> (8 * i));
    }
    if (always(WEIGHTS) != NULL) {
        scores[f.output_bytes - 1] ^= 1U;
    }
    f.history = history;
    return status;
}

static uint32_t engine_arena_used(const tml_engine *engine) {
    (void)engine;
    return f.inner_engine->arena_used(f.inner_engine);
}

static uint32_t engine_arena_capacity(const tml_engine *engine) {
    (void)engine;
    return f.inner_engine->arena_capacity(f.inner_engine);
}

static int inner_write(const uint8_t *data, size_t size) {
    return f.inner_port.write(f.inner_port.context, data, size);
}

/* The core sends one frame per call. */
static int port_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    f.frames++;
    if (due(DROP_TX, f.frames) != NULL) {
        return TML_OK;
    }
    if (due(TRUNCATE_TX, f.frames) != NULL) {
        return inner_write(data, size / 2);
    }
    if (due(CORRUPT_TX, f.frames) == NULL) {
        return inner_write(data, size);
    }
    size_t at = size / 2;
    const uint8_t wrong = data[at] ^ (data[at] == 0x10U ? 0x20U : 0x10U); /* never into a delimiter */
    int status = inner_write(data, at);
    status = status == TML_OK ? inner_write(&wrong, 1) : status;
    return status == TML_OK ? inner_write(data + at + 1, size - at - 1) : status;
}

static int32_t port_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    (void)context;
    int32_t got = f.inner_port.read(f.inner_port.context, data, capacity, timeout_ms);
    if (got > 0) {
        f.chunks++;
        if (due(CORRUPT_RX, f.chunks) != NULL) {
            data[got / 2] ^= 0x10U;
        }
    }
    return got;
}

tml_engine *faults_wrap(tml_port *port, tml_engine *engine, const tml_model *model, const tml_session *session) {
    if (f.used == 0) {
        return engine;
    }
    f.session = session;
    f.input_bytes = tml_tensor_bytes(&model->input);
    f.output_bytes = tml_tensor_bytes(&model->output);
    f.inner_engine = engine;
    f.inner_port = *port;
    f.engine = (tml_engine){
        .name = engine->name,
        .init = engine_init,
        .input = engine_input,
        .invoke = engine_invoke,
        .output = engine_output,
        .arena_used = engine_arena_used,
        .arena_capacity = engine_arena_capacity,
    };
    port->write = port_write;
    port->read = port_read;
    return &f.engine;
}
