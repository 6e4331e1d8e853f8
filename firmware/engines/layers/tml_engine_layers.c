/* Engines "aot-float" and "espdl-c": a network as a list of calls to kernels (pytest_tinyml/engines/layers), around
 * which this stands.
 *
 * layers_engine_config.h is generated beside the network and names the engine, its sizes and places. */
#include "layers_engine_config.h"
#include "tml.h"

static _Alignas(16) uint8_t arena[TML_LAYERS_ARENA_BYTES];

static int layers_init(tml_engine *engine) {
    (void)engine;
    return TML_OK; /* nothing to prepare: every tensor has its place at link time, and no state outlives an inference */
}

static void *layers_input(tml_engine *engine) {
    (void)engine;
    return arena + TML_LAYERS_INPUT_OFFSET;
}

static int layers_invoke(tml_engine *engine) {
    (void)engine;
    tml_layers_run(arena);
    return TML_OK;
}

static const void *layers_output(tml_engine *engine) {
    (void)engine;
    return arena + TML_LAYERS_OUTPUT_OFFSET;
}

static uint32_t layers_arena_bytes(const tml_engine *engine) {
    (void)engine;
    return TML_LAYERS_ARENA_BYTES;
}

tml_engine tml_the_engine = {
    .name = TML_LAYERS_NAME,
    .init = layers_init,
    .input = layers_input,
    .invoke = layers_invoke,
    .output = layers_output,
    .arena_used = layers_arena_bytes,
    .arena_capacity = layers_arena_bytes,
};
