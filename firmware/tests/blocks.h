/* Blocks of memory of exactly the size that is needed, so that the sanitizer sees the first byte beyond it. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdlib.h>
#include <string.h>

static inline unsigned char *exact_block(size_t size) {
    unsigned char *block = malloc(size != 0 ? size : 1);
    if (block == NULL) {
        abort();
    }
    memset(block, 0xA5, size);
    return block;
}

static inline unsigned char *exact_copy(const void *data, size_t size) {
    unsigned char *block = exact_block(size);
    memcpy(block, data, size);
    return block;
}

#endif
