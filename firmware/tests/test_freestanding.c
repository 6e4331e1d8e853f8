/* ports/common/freestanding.c against the host's C library: every alignment, every small size, guarded buffers. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* Ours under names of their own, in this file, so that no build has to rename symbols. */
#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#define strlen own_strlen
#define strcmp own_strcmp
#define strncmp own_strncmp
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
#include "../ports/common/freestanding.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strcmp
#undef strncmp

#define LARGEST 100U
#define OFFSETS 8U

/* A block that begins at this distance from a multiple of 8 and ends where malloc's does: one byte more is seen by
 * AddressSanitizer. */
typedef struct {
    uint8_t *block, *data;
} guarded;

static guarded guarded_block(size_t offset, size_t size) {
    guarded g = {.block = malloc(offset + size)};
    if (g.block == NULL && offset + size != 0) {
        exit(1);
    }
    g.data = g.block == NULL ? NULL : g.block + offset;
    for (size_t i = 0; i < size; i++) {
        g.data[i] = (uint8_t)(37U * i + 11U * size + offset);
    }
    return g;
}

static void copies(size_t to_offset, size_t from_offset, size_t size) {
    guarded to = guarded_block(to_offset + 8U, size);
    guarded from = guarded_block(from_offset + 8U, size);
    to.block[7 + to_offset] = 0xA5;
    for (size_t i = 0; i < size; i++) {
        to.data[i] = (uint8_t)~from.data[i];
    }
    CHECK(own_memcpy(to.data, from.data, size) == to.data);
    CHECK(memcmp(to.data, from.data, size) == 0);
    CHECK(to.block[7 + to_offset] == 0xA5);
    free(to.block);
    free(from.block);
}

static void moves(size_t to_offset, size_t from_offset, size_t size) {
    guarded own = guarded_block(0, 64U + size);
    guarded host = guarded_block(0, 64U + size);
    CHECK(own_memmove(own.data + to_offset, own.data + from_offset, size) == own.data + to_offset);
    memmove(host.data + to_offset, host.data + from_offset, size);
    CHECK(memcmp(own.data, host.data, 64U + size) == 0);
    free(own.block);
    free(host.block);
}

static void fills(size_t offset, size_t size) {
    guarded own = guarded_block(offset + 8U, size);
    own.block[7 + offset] = 0xA5;
    CHECK(own_memset(own.data, 0x1C3, size) == own.data); /* only the low byte counts */
    bool filled = true;
    for (size_t i = 0; i < size; i++) {
        filled = filled && own.data[i] == 0xC3;
    }
    CHECK(filled);
    CHECK(own.block[7 + offset] == 0xA5);
    free(own.block);
}

static int sign(int value) {
    return (value > 0) - (value < 0);
}

static void compares(size_t a_offset, size_t b_offset, size_t size) {
    guarded a = guarded_block(a_offset, size);
    guarded b = guarded_block(b_offset, size);
    if (size != 0) { /* a null pointer and no bytes is not for memcpy */
        memcpy(b.data, a.data, size);
    }
    CHECK(own_memcmp(a.data, b.data, size) == 0);
    for (size_t i = 0; i < size; i++) {
        b.data[i] ^= 0x80; /* the sign bit: bytes are compared as unsigned */
        CHECK(sign(own_memcmp(a.data, b.data, size)) == sign(memcmp(a.data, b.data, size)));
        b.data[i] ^= 0x80;
    }
    free(a.block);
    free(b.block);
}

static void strings(void) {
    static const char *const texts[] = {"", "a", "ab", "abc", "abd", "abcdefgh", "\x80", "\xff", "\x7f"};
    const size_t count = sizeof texts / sizeof texts[0];
    for (size_t i = 0; i < count; i++) {
        CHECK(own_strlen(texts[i]) == strlen(texts[i]));
        for (size_t j = 0; j < count; j++) {
            CHECK(sign(own_strcmp(texts[i], texts[j])) == sign(strcmp(texts[i], texts[j])));
            for (size_t limit = 0; limit < 10; limit++) {
                CHECK(sign(own_strncmp(texts[i], texts[j], limit)) == sign(strncmp(texts[i], texts[j], limit)));
            }
        }
    }
}

int main(void) {
    for (size_t a = 0; a < OFFSETS; a++) {
        for (size_t size = 0; size <= LARGEST; size++) {
            fills(a, size);
            for (size_t b = 0; b < OFFSETS; b++) {
                copies(a, b, size);
            }
        }
        for (size_t b = 0; b < OFFSETS; b++) {
            for (size_t size = 0; size <= 24; size++) {
                compares(a, b, size);
            }
        }
    }
    for (size_t to = 0; to < 24; to++) { /* both directions, distances below and above a block of words */
        for (size_t from = 0; from < 24; from++) {
            for (size_t size = 0; size <= 70; size++) {
                moves(to, from, size);
            }
        }
    }
    strings();
    return check_result("test_freestanding");
}
