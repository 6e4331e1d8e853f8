/* Engine "aot": a network translated to C ahead of time (pytest_tinyml/engines/aot.py), and a softmax behind it where
 * the model has one.
 *
 * aot_engine_config.h is generated beside the network and names its entry point and sizes. */
#include "aot_engine_config.h"
#include "tml.h"

#if TML_AOT_SOFTMAX
#include "tml_softmax_s8.h"
#endif

/* One object, so that a linker map shows the engine's whole working memory under one name. */
static struct {
#if TML_AOT_ARENA_BYTES > 0
    _Alignas(TML_AOT_ARENA_ALIGNMENT) uint8_t arena[TML_AOT_ARENA_BYTES];
#endif
    _Alignas(4) int8_t input[TML_AOT_INPUT_BYTES];
    _Alignas(4) int8_t output[TML_AOT_OUTPUT_BYTES];
} memory;

static int aot_init(tml_engine *engine) {
    (void)engine;
    return TML_OK; /* nothing to prepare: every tensor has its place at link time, and no state outlives an inference */
}

static void *aot_input(tml_engine *engine) {
    (void)engine;
    return memory.input;
}

static int aot_invoke(tml_engine *engine) {
    (void)engine;
#if TML_AOT_ARENA_BYTES > 0
    TML_AOT_INFER(memory.arena, memory.input, memory.output);
#else
    TML_AOT_INFER(0, memory.input, memory.output); /* bakenn's contract: no arena, null pointer */
#endif
#if TML_AOT_SOFTMAX
    static const tml_softmax_s8_params params = {
        .multiplier = TML_AOT_SOFTMAX_MULTIPLIER,
        .left_shift = TML_AOT_SOFTMAX_LEFT_SHIFT,
        .diff_min = TML_AOT_SOFTMAX_DIFF_MIN,
    };
    tml_softmax_s8(memory.output, TML_AOT_SOFTMAX_ROWS, TML_AOT_SOFTMAX_DEPTH, &params, memory.output);
#endif
    return TML_OK;
}

static const void *aot_output(tml_engine *engine) {
    (void)engine;
    return memory.output;
}

static uint32_t aot_arena_bytes(const tml_engine *engine) {
    (void)engine;
    return TML_AOT_ARENA_BYTES + TML_AOT_INPUT_BYTES + TML_AOT_OUTPUT_BYTES;
}

tml_engine tml_the_engine = {
    .name = "aot",
    .init = aot_init,
    .input = aot_input,
    .invoke = aot_invoke,
    .output = aot_output,
    .arena_used = aot_arena_bytes,
    .arena_capacity = aot_arena_bytes,
};
