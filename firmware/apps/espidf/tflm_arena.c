#include "tflm_arena.h"

#include "port_espidf.h"
#include "tml_engine_tflm.h"

void app_tflm_arena(size_t reserve) {
    const size_t size = TML_ARENA_BYTES > TML_TFLM_ARENA_BYTES ? TML_ARENA_BYTES : TML_TFLM_ARENA_BYTES;
    tml_tflm_use_arena(espidf_need("the arena", espidf_arena(size, reserve)), size);
}
