/* Engine "stedgeai": the network that ST's tool generated, behind the core's vtable
 * (pytest_tinyml/engines/stedgeai.py).
 *
 * ST Edge AI Core, and X-CUBE-AI from 7.1 on, write a network with one of two interfaces: ai_network_* (network.h with
 * ai_platform.h), or stai_network_* (network.h with stai.h). stedgeai_engine_config.h is generated beside the network
 * and says which. */
#include <stddef.h>
#include <stdint.h>

#include "stedgeai_engine_config.h"
#include "tml.h"

#include "network.h"
#if !TML_STEDGEAI_STAI
#include "network_data.h"
#endif

#define ALIGNMENT 32 /* of activations and tensors: ST's examples */

#if defined(__ARM_ARCH_7EM__)
/* ST's library works on ST's parts only and knows them by their CRC unit, whose clock is off after a reset. STM32F4:
 * RM0090 and RM0390, RCC_AHB1ENR, bit CRCEN. */
#define RCC_AHB1ENR (*(volatile uint32_t *)0x40023830U)
#define RCC_AHB1ENR_CRCEN (1U << 12)
static void wake_crc_unit(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_CRCEN;
    (void)RCC_AHB1ENR; /* the clock is there two cycles after the write */
}
#else
static void wake_crc_unit(void) {}
#endif

static const char *failure = "";

#if TML_STEDGEAI_STAI

#define ACTIVATIONS_BYTES STAI_NETWORK_ACTIVATIONS_SIZE_BYTES
#define OWN_ACTIVATIONS (!((STAI_NETWORK_FLAGS) & (STAI_FLAG_ACTIVATIONS)))
#define OWN_INPUT (!((STAI_NETWORK_FLAGS) & (STAI_FLAG_INPUTS)))
#define OWN_OUTPUT (!((STAI_NETWORK_FLAGS) & (STAI_FLAG_OUTPUTS)))
_Static_assert(STAI_NETWORK_IN_NUM == 1 && STAI_NETWORK_OUT_NUM == 1, "one input, one output");
_Static_assert(STAI_NETWORK_IN_1_SIZE_BYTES == TML_STEDGEAI_INPUT_BYTES, "the tool changed the input's type or shape");
_Static_assert(STAI_NETWORK_OUT_1_SIZE_BYTES == TML_STEDGEAI_OUTPUT_BYTES,
               "the tool changed the output's type or shape");
_Static_assert(STAI_NETWORK_ACTIVATIONS_NUM == 1, "generate without --memory-pool: one buffer of activations");

#else

#define ACTIVATIONS_BYTES AI_NETWORK_DATA_ACTIVATIONS_SIZE
#define OWN_ACTIVATIONS 1
#if defined(AI_NETWORK_INPUTS_IN_ACTIVATIONS)
#define OWN_INPUT 0
#else
#define OWN_INPUT 1
#endif
#if defined(AI_NETWORK_OUTPUTS_IN_ACTIVATIONS)
#define OWN_OUTPUT 0
#else
#define OWN_OUTPUT 1
#endif
_Static_assert(AI_NETWORK_IN_NUM == 1 && AI_NETWORK_OUT_NUM == 1, "one input, one output");
_Static_assert(AI_NETWORK_IN_1_SIZE_BYTES == TML_STEDGEAI_INPUT_BYTES, "the tool changed the input's type or shape");
_Static_assert(AI_NETWORK_OUT_1_SIZE_BYTES == TML_STEDGEAI_OUTPUT_BYTES, "the tool changed the output's type or shape");
_Static_assert(AI_NETWORK_DATA_ACTIVATIONS_COUNT == 1, "generate without --memory-pool: one buffer of activations");

#endif

/* One object, so that a linker map shows the engine's whole working memory under one name. */
static struct {
#if OWN_ACTIVATIONS
    _Alignas(ALIGNMENT) uint8_t activations[ACTIVATIONS_BYTES];
#endif
#if OWN_INPUT
    _Alignas(ALIGNMENT) uint8_t input[TML_STEDGEAI_INPUT_BYTES];
#endif
#if OWN_OUTPUT
    _Alignas(ALIGNMENT) uint8_t output[TML_STEDGEAI_OUTPUT_BYTES];
#endif
    void *input_at;
    void *output_at;
} memory;

#if TML_STEDGEAI_STAI

STAI_ALIGNED(STAI_NETWORK_CONTEXT_ALIGNMENT) static stai_network context[STAI_NETWORK_CONTEXT_SIZE];

static int start(void) {
    stai_ptr at[1];
    stai_size count = 1;
    if (stai_runtime_init() != STAI_SUCCESS || stai_network_init(context) != STAI_SUCCESS) {
        failure = "stai_network_init fails: is this the part that the library is for?";
        return TML_ERR_ENGINE;
    }
#if OWN_ACTIVATIONS
    at[0] = memory.activations;
    if (stai_network_set_activations(context, at, 1) != STAI_SUCCESS) {
        failure = "stai_network_set_activations fails";
        return TML_ERR_ENGINE;
    }
#endif
#if OWN_INPUT
    at[0] = memory.input;
    if (stai_network_set_inputs(context, at, 1) != STAI_SUCCESS) {
        failure = "stai_network_set_inputs fails";
        return TML_ERR_ENGINE;
    }
#endif
#if OWN_OUTPUT
    at[0] = memory.output;
    if (stai_network_set_outputs(context, at, 1) != STAI_SUCCESS) {
        failure = "stai_network_set_outputs fails";
        return TML_ERR_ENGINE;
    }
#endif
    if (stai_network_get_inputs(context, at, &count) != STAI_SUCCESS) {
        failure = "stai_network_get_inputs fails";
        return TML_ERR_ENGINE;
    }
    memory.input_at = at[0];
    if (stai_network_get_outputs(context, at, &count) != STAI_SUCCESS) {
        failure = "stai_network_get_outputs fails";
        return TML_ERR_ENGINE;
    }
    memory.output_at = at[0];
    return TML_OK;
}

static int run(void) {
    return stai_network_run(context, STAI_MODE_SYNC) == STAI_SUCCESS ? TML_OK : TML_ERR_ENGINE;
}

#else

static ai_handle network;
static ai_buffer *inputs;
static ai_buffer *outputs;

static int start(void) {
    const ai_handle activations[] = {(ai_handle)memory.activations};
    if (network != NULL) {
        network = ai_network_destroy(network); /* the core's RESET prepares anew */
    }
    if (ai_network_create_and_init(&network, activations, NULL).type != AI_ERROR_NONE) {
        failure = "ai_network_create_and_init fails: is this the part that the library is for?";
        network = NULL;
        return TML_ERR_ENGINE;
    }
    inputs = ai_network_inputs_get(network, NULL);
    outputs = ai_network_outputs_get(network, NULL);
    if (inputs == NULL || outputs == NULL) {
        failure = "ai_network_inputs_get fails";
        return TML_ERR_ENGINE;
    }
#if OWN_INPUT
    inputs[0].data = (ai_handle)memory.input;
#endif
#if OWN_OUTPUT
    outputs[0].data = (ai_handle)memory.output;
#endif
    memory.input_at = inputs[0].data;
    memory.output_at = outputs[0].data;
    return TML_OK;
}

static int run(void) {
    return ai_network_run(network, inputs, outputs) == 1 ? TML_OK : TML_ERR_ENGINE;
}

#endif

static int stedgeai_init(tml_engine *engine) {
    (void)engine;
    failure = "";
    wake_crc_unit();
    int status = start();
    if (status == TML_OK && (memory.input_at == NULL || memory.output_at == NULL)) {
        failure = "the network has no input or output buffer";
        status = TML_ERR_ENGINE;
    }
    return status;
}

static void *stedgeai_input(tml_engine *engine) {
    (void)engine;
    return memory.input_at;
}

static int stedgeai_invoke(tml_engine *engine) {
    (void)engine;
    int status = run();
    if (status != TML_OK) {
        failure = "the network does not run";
    }
    return status;
}

static const void *stedgeai_output(tml_engine *engine) {
    (void)engine;
    return memory.output_at;
}

static uint32_t stedgeai_arena_bytes(const tml_engine *engine) {
    (void)engine;
    return ACTIVATIONS_BYTES + (OWN_INPUT ? TML_STEDGEAI_INPUT_BYTES : 0) +
           (OWN_OUTPUT ? TML_STEDGEAI_OUTPUT_BYTES : 0);
}

static const char *stedgeai_why(const tml_engine *engine) {
    (void)engine;
    return failure;
}

tml_engine tml_the_engine = {
    .name = "stedgeai",
    .init = stedgeai_init,
    .input = stedgeai_input,
    .invoke = stedgeai_invoke,
    .output = stedgeai_output,
    .arena_used = stedgeai_arena_bytes,
    .arena_capacity = stedgeai_arena_bytes,
    .why = stedgeai_why,
};
