/* memcpy and its kin for processors without a C library, a word at a time and without an access that is not aligned:
 * an LX106 has none, and a Cortex-M4 needs two bus cycles for one. Nothing outside of the buffers is read, not even
 * inside of an aligned word, so that the host's tests can run this under AddressSanitizer. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "copy_shifted() puts words together for a little-endian processor"
#endif

#define WORD sizeof(uint32_t)
#define BLOCK (4U * WORD)

/* Callers' objects are of any type: without this the compiler may move accesses to them across ours. */
typedef uint32_t __attribute__((may_alias)) word;

/* In each loop below: else the compiler sees that it copies or fills memory, and calls the function that it stands in
 * (GCC: -ftree-loop-distribute-patterns; LLVM: LoopIdiomRecognize). The flags against that differ, this does not. */
#define STAY_A_LOOP() __asm__ volatile("")

static size_t bytes_to_boundary(const void *at) {
    return (WORD - ((uintptr_t)at & (WORD - 1U))) & (WORD - 1U);
}

static void copy_bytes(uint8_t *to, const uint8_t *from, size_t size) {
    for (size_t i = 0; i < size; i++) {
        STAY_A_LOOP();
        to[i] = from[i];
    }
}

/* Both on a word boundary. Returns how many bytes were copied: as many whole words as there are. */
static size_t copy_words(uint8_t *to, const uint8_t *from, size_t size) {
    word *out = (word *)(void *)to;
    const word *in = (const word *)(const void *)from;
    size_t left = size;
    for (; left >= BLOCK; left -= BLOCK) {
        STAY_A_LOOP();
        /* All loads before all stores: four registers, and an overlap with to < from does no harm. */
        const word a = in[0], b = in[1], c = in[2], d = in[3];
        out[0] = a;
        out[1] = b;
        out[2] = c;
        out[3] = d;
        in += 4;
        out += 4;
    }
    for (; left >= WORD; left -= WORD) {
        STAY_A_LOOP();
        *out++ = *in++;
    }
    return size - left;
}

/* Only `to` on a word boundary: each word that is stored is put together from two that are loaded. */
static size_t copy_shifted(uint8_t *to, const uint8_t *from, size_t size) {
    const size_t head = bytes_to_boundary(from); /* 1 to 3 */
    const unsigned low = 8U * (unsigned)head;    /* bits of the word to be stored that are loaded already */
    word *out = (word *)(void *)to;
    const word *in = (const word *)(const void *)(from + head);
    uint32_t carry = 0;
    for (size_t i = 0; i < head; i++) {
        carry |= (uint32_t)from[i] << (8U * (unsigned)i);
    }
    size_t done = 0;
    for (; done + head + WORD <= size; done += WORD) {
        STAY_A_LOOP();
        const uint32_t next = *in++;
        *out++ = carry | next << low;
        carry = next >> (32U - low);
    }
    return done;
}

/* From the lowest address up; the buffers may overlap if to <= from. */
static void copy_up(uint8_t *to, const uint8_t *from, size_t size) {
    if (size >= BLOCK) {
        const size_t head = bytes_to_boundary(to);
        copy_bytes(to, from, head);
        to += head;
        from += head;
        size -= head;
        const size_t done = bytes_to_boundary(from) == 0 ? copy_words(to, from, size) : copy_shifted(to, from, size);
        to += done;
        from += done;
        size -= done;
    }
    copy_bytes(to, from, size);
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    copy_up(to, from, size);
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out <= (uintptr_t)in || (uintptr_t)out - (uintptr_t)in >= size) {
        copy_up(out, in, size);
        return to;
    }
    for (size_t i = size; i > 0; i--) { /* nothing in the firmware moves up: not worth a word loop */
        STAY_A_LOOP();
        out[i - 1] = in[i - 1];
    }
    return to;
}

static uint8_t *fill_bytes(uint8_t *to, uint8_t byte, size_t size) {
    for (; size != 0; size--) {
        STAY_A_LOOP();
        *to++ = byte;
    }
    return to;
}

void *memset(void *to, int value, size_t size) {
    const uint8_t byte = (uint8_t)value;
    uint8_t *out = to;
    if (size >= BLOCK) {
        const size_t head = bytes_to_boundary(out);
        const uint32_t pattern = byte * UINT32_C(0x01010101);
        word *words = (word *)(void *)fill_bytes(out, byte, head);
        for (size -= head; size >= BLOCK; size -= BLOCK) {
            STAY_A_LOOP();
            words[0] = pattern;
            words[1] = pattern;
            words[2] = pattern;
            words[3] = pattern;
            words += 4;
        }
        out = (uint8_t *)words;
    }
    fill_bytes(out, byte, size);
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const uint8_t *left = a;
    const uint8_t *right = b;
    if (bytes_to_boundary(left) == 0 && bytes_to_boundary(right) == 0) {
        while (size >= WORD && *(const word *)(const void *)left == *(const word *)(const void *)right) {
            STAY_A_LOOP();
            left += WORD;
            right += WORD;
            size -= WORD;
        }
    }
    for (; size != 0; size--) {
        if (*left != *right) {
            return *left < *right ? -1 : 1;
        }
        left++;
        right++;
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t size = 0;
    while (text[size] != '\0') {
        STAY_A_LOOP();
        size++;
    }
    return size;
}

int strncmp(const char *a, const char *b, size_t limit) {
    for (; limit != 0; limit--) {
        const unsigned char left = (unsigned char)*a++;
        const unsigned char right = (unsigned char)*b++;
        if (left != right || left == '\0') {
            return left - right;
        }
    }
    return 0;
}

int strcmp(const char *a, const char *b) {
    return strncmp(a, b, SIZE_MAX);
}
