#include <esp_heap_caps.h>

#include "arena_rule.h"
#include "port_espidf.h"

#define ALIGNMENT 16
#define INTERNAL (MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT)
#define PSRAM (MALLOC_CAP_SPIRAM | MALLOC_CAP_8BIT)

bool espidf_has_psram(void) {
    return heap_caps_get_total_size(PSRAM) != 0;
}

void *espidf_arena(size_t size, size_t reserve) {
    if (arena_rule_internal(size, reserve, heap_caps_get_largest_free_block(INTERNAL),
                            heap_caps_get_free_size(INTERNAL))) {
        void *arena = heap_caps_aligned_alloc(ALIGNMENT, size, INTERNAL);
        if (arena != NULL) {
            return arena;
        }
    }
    return heap_caps_aligned_alloc(ALIGNMENT, size, PSRAM);
}

void *espidf_block(size_t size) {
    void *block = heap_caps_aligned_alloc(ALIGNMENT, size, PSRAM);
    return block != NULL ? block : heap_caps_aligned_alloc(ALIGNMENT, size, INTERNAL);
}
