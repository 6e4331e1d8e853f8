/* An engine that does nothing: output element i is input element i * (inputs / outputs). For tests, and to measure
 * everything but inference. */
#include "tml.h"

#define INPUTS 784
#define OUTPUTS 10

static int8_t input[INPUTS];
static int8_t output[OUTPUTS];

static int null_init(tml_engine *engine) {
    (void)engine;
    return TML_OK;
}

static void *null_input(tml_engine *engine) {
    (void)engine;
    return input;
}

static int null_invoke(tml_engine *engine) {
    (void)engine;
    for (size_t i = 0; i < OUTPUTS; i++) {
        output[i] = input[i * (INPUTS / OUTPUTS)];
    }
    return TML_OK;
}

static const void *null_output(tml_engine *engine) {
    (void)engine;
    return output;
}

static uint32_t null_arena(const tml_engine *engine) {
    (void)engine;
    return sizeof input + sizeof output;
}

tml_engine tml_the_engine = {
    .name = "null",
    .init = null_init,
    .input = null_input,
    .invoke = null_invoke,
    .output = null_output,
    .arena_used = null_arena,
    .arena_capacity = null_arena,
};
