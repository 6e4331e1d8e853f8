/* Engine "espdl": Espressif's ESP-DL (component espressif/esp-dl), for .espdl files that esp-ppq has quantised.
 *
 * Beside this source an image links the file as an array (model.cc) and its description (tml_model.c). Parameters are
 * read where they are, in flash, unless there is PSRAM, which is faster; activations are on the heap. */
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <string>

#include "dl_model_base.hpp"
#include "esp_heap_caps.h"
#include "model.h"
#include "tml.h"

namespace {

constexpr size_t INTERNAL_RESERVE = 32U * 1024U; /* for others, where activations could as well be in PSRAM */

dl::Model *network = nullptr;
dl::TensorBase *input = nullptr;
dl::TensorBase *output = nullptr;
uint32_t used = 0;
char error_text[160] = "";

__attribute__((format(printf, 1, 2))) int fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error_text, sizeof error_text, format, arguments);
    va_end(arguments);
    return TML_ERR_ENGINE;
}

dl::dtype_t type_of(tml_dtype dtype) {
    switch (dtype) {
    case TML_INT8:
        return dl::DATA_TYPE_INT8;
    case TML_UINT8:
        return dl::DATA_TYPE_UINT8;
    case TML_INT16:
        return dl::DATA_TYPE_INT16;
    case TML_FLOAT32:
        return dl::DATA_TYPE_FLOAT;
    }
    return dl::DATA_TYPE_UNDEFINED;
}

/* A tensor must be what the host is told that it is: the session copies as many bytes as the description says. */
int check_tensor(const char *what, dl::TensorBase *tensor, const tml_tensor &described) {
    if (tensor == nullptr || tensor->data == nullptr) {
        return fail("the model's %s has no memory: %u bytes are free, the largest block has %u", what,
                    static_cast<unsigned>(heap_caps_get_free_size(MALLOC_CAP_8BIT)),
                    static_cast<unsigned>(heap_caps_get_largest_free_block(MALLOC_CAP_8BIT)));
    }
    if (tensor->dtype != type_of(described.dtype) ||
        static_cast<uint32_t>(tensor->get_bytes()) != tml_tensor_bytes(&described)) {
        return fail("the model's %s is %s of %d bytes, which is not what its description says", what,
                    tensor->get_dtype_string(), tensor->get_bytes());
    }
    const int exponent = tensor->exponent;
    if (described.dtype != TML_FLOAT32 && std::ldexp(1.0F, exponent) != described.scale) {
        return fail("the model's %s has exponent %d, which is not what its description says", what, exponent);
    }
    return TML_OK;
}

void drop() {
    delete network;
    network = nullptr;
    input = output = nullptr;
    used = 0;
}

int prepare() {
    const bool psram = heap_caps_get_total_size(MALLOC_CAP_SPIRAM) != 0;
    const size_t block = heap_caps_get_largest_free_block(MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT);
    const size_t internal = psram && block > INTERNAL_RESERVE ? block - INTERNAL_RESERVE : 0;
    network = new dl::Model(reinterpret_cast<const char *>(g_model), fbs::MODEL_LOCATION_IN_FLASH_RODATA,
                            static_cast<int>(internal), dl::MEMORY_MANAGER_GREEDY, nullptr, psram);
    if (network->get_inputs().size() != 1 || network->get_outputs().size() != 1) {
        return fail("ESP-DL cannot build the model, or it has not exactly one input and one output; the log has more");
    }
    input = network->get_input();
    output = network->get_output();
    const int status = check_tensor("input", input, tml_the_model.input);
    if (status != TML_OK) {
        return status;
    }
    const dl::mem_info_t variables = network->get_memory_info()["variable"];
    used = static_cast<uint32_t>(variables.internal + variables.psram);
    return check_tensor("output", output, tml_the_model.output);
}

int espdl_init(tml_engine *) {
    drop();
    const int status = prepare();
    if (status != TML_OK) {
        drop();
    }
    return status;
}

void *espdl_input(tml_engine *) {
    return input == nullptr ? nullptr : input->data;
}

int espdl_invoke(tml_engine *) {
    if (network == nullptr) {
        return TML_ERR_ENGINE; /* the reason of init stands */
    }
    network->run();
    return TML_OK;
}

const void *espdl_output(tml_engine *) {
    return output == nullptr ? nullptr : output->data;
}

const char *espdl_why(const tml_engine *) {
    return error_text;
}

uint32_t espdl_arena_used(const tml_engine *) {
    return used;
}

uint32_t espdl_arena_capacity(const tml_engine *) {
    return used + static_cast<uint32_t>(heap_caps_get_free_size(MALLOC_CAP_8BIT));
}

} // namespace

tml_engine tml_the_engine = {
    "espdl",          espdl_init,           espdl_input, espdl_invoke, espdl_output,
    espdl_arena_used, espdl_arena_capacity, nullptr,     espdl_why,
};
