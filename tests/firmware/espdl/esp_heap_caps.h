/* ESP-IDF's questions about the heap, answered with constants. */
#ifndef ESP_HEAP_CAPS_H
#define ESP_HEAP_CAPS_H

#include <stddef.h>

#define MALLOC_CAP_8BIT 4U
#define MALLOC_CAP_SPIRAM 1024U
#define MALLOC_CAP_INTERNAL 2048U

static inline size_t heap_caps_get_free_size(unsigned caps) {
    return caps == MALLOC_CAP_8BIT ? 1000U : 0U;
}
static inline size_t heap_caps_get_largest_free_block(unsigned caps) {
    (void)caps;
    return 600U;
}
static inline size_t heap_caps_get_total_size(unsigned caps) {
    (void)caps;
    return 0U;
}

#endif
