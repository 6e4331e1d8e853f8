/* Little-endian loads and stores for any alignment and any byte order of the processor. */
#ifndef TML_BYTES_H
#define TML_BYTES_H

#include <stdint.h>

static inline uint16_t tml_load16(const uint8_t *at) {
    return (uint16_t)(at[0] | ((uint16_t)at[1] << 8));
}

static inline uint32_t tml_load32(const uint8_t *at) {
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

static inline void tml_store16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void tml_store32(uint8_t *at, uint32_t value) {
    tml_store16(at, (uint16_t)value);
    tml_store16(at + 2, (uint16_t)(value >> 16));
}

static inline void tml_store64(uint8_t *at, uint64_t value) {
    tml_store32(at, (uint32_t)value);
    tml_store32(at + 4, (uint32_t)(value >> 32));
}

#endif
