/* SHA-256: FIPS 180-4, sections 4.1.2, 4.2.2, 5.1.1, 5.3.3 and 6.2.2. */
#include <string.h>

#include "tml.h"

#define BLOCK 64U
#define LENGTH_BYTES 8U

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};

static uint32_t rotate(uint32_t x, unsigned by) {
    return x >> by | x << (32U - by);
}

static uint32_t load_big(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store_big(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static void add_block(uint32_t *hash, const uint8_t *block) {
    uint32_t w[64];
    uint32_t v[8];
    for (size_t t = 0; t < 16; t++) {
        w[t] = load_big(block + 4 * t);
    }
    for (size_t t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    memcpy(v, hash, sizeof v);
    /* The eight variables of the standard rotate through the array instead of moving by one each time: a loop that
     * moves them becomes a call of memmove. */
    for (unsigned t = 0; t < 64; t++) {
        enum { A, B, C, D, E, F, G, H };
#define V(name) v[((name) + 64U - t) % 8U]
        uint32_t sum1 = rotate(V(E), 6) ^ rotate(V(E), 11) ^ rotate(V(E), 25);
        uint32_t choice = (V(E) & V(F)) ^ (~V(E) & V(G));
        uint32_t t1 = V(H) + sum1 + choice + K[t] + w[t];
        uint32_t sum0 = rotate(V(A), 2) ^ rotate(V(A), 13) ^ rotate(V(A), 22);
        uint32_t majority = (V(A) & V(B)) ^ (V(A) & V(C)) ^ (V(B) & V(C));
        V(D) += t1;
        V(H) = t1 + sum0 + majority; /* which the next round calls A */
#undef V
    }
    for (size_t i = 0; i < 8; i++) {
        hash[i] += v[i];
    }
}

void tml_sha256(const uint8_t *data, size_t size, uint8_t digest[32]) {
    uint32_t hash[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
    uint8_t last[2 * BLOCK] = {0};
    uint64_t bits = (uint64_t)size * 8U;
    for (; size >= BLOCK; size -= BLOCK, data += BLOCK) {
        add_block(hash, data);
    }
    size_t end = size + 1 + LENGTH_BYTES <= BLOCK ? BLOCK : 2 * BLOCK;
    memcpy(last, data, size);
    last[size] = 0x80;
    store_big(last + end - 8, (uint32_t)(bits >> 32));
    store_big(last + end - 4, (uint32_t)bits);
    for (size_t at = 0; at < end; at += BLOCK) {
        add_block(hash, last + at);
    }
    for (size_t i = 0; i < 8; i++) {
        store_big(digest + 4 * i, hash[i]);
    }
}
