/* CRC-32 (PROTOCOL.md section 1): reflected polynomial 0xEDB88320, initial value and final XOR 0xFFFFFFFF.
 *
 * A table of remainders is linear over XOR: entry i is the XOR of the entries of i's bits, so eight constants say it
 * all and the compiler fills the table. TML_CRC_SLICES 4 reads four bytes per step with 4 KB of tables (M. Kounavis and
 * F. Berry, "Novel table lookup-based algorithms for high-performance CRC generation", IEEE Trans. Computers 57(11),
 * 2008). */
#include "tml.h"

#ifndef TML_CRC_SLICES
#define TML_CRC_SLICES 1
#endif
_Static_assert(TML_CRC_SLICES == 1 || TML_CRC_SLICES == 4, "TML_CRC_SLICES is 1 (1 KB of tables) or 4");

#define ENTRY(i, b0, b1, b2, b3, b4, b5, b6, b7)                                                                       \
    ((((i) & 1U) ? (b0) : 0U) ^ (((i) & 2U) ? (b1) : 0U) ^ (((i) & 4U) ? (b2) : 0U) ^ (((i) & 8U) ? (b3) : 0U) ^       \
     (((i) & 16U) ? (b4) : 0U) ^ (((i) & 32U) ? (b5) : 0U) ^ (((i) & 64U) ? (b6) : 0U) ^ (((i) & 128U) ? (b7) : 0U))
#define ROW4(i, ...)                                                                                                   \
    ENTRY((i), __VA_ARGS__), ENTRY((i) + 1U, __VA_ARGS__), ENTRY((i) + 2U, __VA_ARGS__), ENTRY((i) + 3U, __VA_ARGS__)
#define ROW16(i, ...)                                                                                                  \
    ROW4((i), __VA_ARGS__), ROW4((i) + 4U, __VA_ARGS__), ROW4((i) + 8U, __VA_ARGS__), ROW4((i) + 12U, __VA_ARGS__)
#define ROW64(i, ...)                                                                                                  \
    ROW16((i), __VA_ARGS__), ROW16((i) + 16U, __VA_ARGS__), ROW16((i) + 32U, __VA_ARGS__), ROW16((i) + 48U, __VA_ARGS__)
#define TABLE(...) {ROW64(0U, __VA_ARGS__), ROW64(64U, __VA_ARGS__), ROW64(128U, __VA_ARGS__), ROW64(192U, __VA_ARGS__)}

/* Row n: remainders of a byte that n zero bytes follow. */
static const uint32_t remainders[TML_CRC_SLICES][256] = {
    TABLE(0x77073096U, 0xEE0E612CU, 0x076DC419U, 0x0EDB8832U, 0x1DB71064U, 0x3B6E20C8U, 0x76DC4190U, 0xEDB88320U),
#if TML_CRC_SLICES == 4
    TABLE(0x191B3141U, 0x32366282U, 0x646CC504U, 0xC8D98A08U, 0x4AC21251U, 0x958424A2U, 0xF0794F05U, 0x3B83984BU),
    TABLE(0x01C26A37U, 0x0384D46EU, 0x0709A8DCU, 0x0E1351B8U, 0x1C26A370U, 0x384D46E0U, 0x709A8DC0U, 0xE1351B80U),
    TABLE(0xB8BC6765U, 0xAA09C88BU, 0x8F629757U, 0xC5B428EFU, 0x5019579FU, 0xA032AF3EU, 0x9B14583DU, 0xED59B63BU),
#endif
};

uint32_t tml_crc32(uint32_t crc, const void *data, size_t size) {
    const uint8_t *at = data;
    const uint8_t *end = at + size;
    crc = ~crc;
#if TML_CRC_SLICES == 4
    for (; end - at >= 4; at += 4) {
        crc ^= tml_load32(at);
        crc = remainders[3][crc & 0xFFU] ^ remainders[2][(crc >> 8) & 0xFFU] ^ remainders[1][(crc >> 16) & 0xFFU] ^
              remainders[0][crc >> 24];
    }
#endif
    for (; at < end; at++) {
        crc = remainders[0][(crc ^ *at) & 0xFFU] ^ (crc >> 8);
    }
    return ~crc;
}
