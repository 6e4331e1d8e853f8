/* Raw DEFLATE (RFC 1951), stored and fixed-Huffman blocks only: no tables and no buffer but the output. */
#include "tml.h"

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t bits; /* not yet used, the next one lowest */
    uint32_t count;
    bool short_of; /* bits were asked for that are not there */
} bit_reader;

/* Reads whole bytes only as they are needed, so that `at` is the stream's end when the last block is done. */
static uint32_t get_bits(bit_reader *r, uint32_t count) {
    while (r->count < count) {
        if (r->at == r->end) {
            r->short_of = true;
            return 0;
        }
        r->bits |= (uint32_t)*r->at++ << r->count;
        r->count += 8;
    }
    uint32_t value = r->bits & ((1U << count) - 1U);
    r->bits >>= count;
    r->count -= count;
    return value;
}

/* Huffman codes stand in the stream most significant bit first. */
static uint32_t get_code(bit_reader *r, uint32_t code, uint32_t count) {
    uint32_t bits = get_bits(r, count);
    for (; count != 0; count--) {
        code = (code << 1) | (bits & 1U);
        bits >>= 1;
    }
    return code;
}

/* 3.2.6: 256-279 have 7 bits, 0-143 and 280-287 have 8, 144-255 have 9. */
static uint32_t get_symbol(bit_reader *r) {
    uint32_t code = get_code(r, 0, 7);
    if (code < 0x18U) {
        return 256U + code;
    }
    code = get_code(r, code, 1);
    if (code < 0xC0U) {
        return code - 0x30U;
    }
    if (code < 0xC8U) {
        return 280U + code - 0xC0U;
    }
    return 144U + get_code(r, code, 1) - 0x190U;
}

/* 3.2.5: beyond the first eight lengths and four distances, each extra bit serves four lengths, or two distances. */
static uint32_t get_length(bit_reader *r, uint32_t symbol) {
    if (symbol < 265U) {
        return symbol - 254U;
    }
    if (symbol == 285U) {
        return 258U;
    }
    uint32_t extra = (symbol - 261U) >> 2;
    return 3U + ((4U + ((symbol - 265U) & 3U)) << extra) + get_bits(r, extra);
}

static uint32_t get_distance(bit_reader *r, uint32_t symbol) {
    if (symbol < 4U) {
        return symbol + 1U;
    }
    uint32_t extra = (symbol >> 1) - 1U;
    return 1U + ((2U + (symbol & 1U)) << extra) + get_bits(r, extra);
}

int tml_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t out_size) {
    bit_reader r = {.at = data, .end = data + size};
    size_t filled = 0;
    uint32_t last;
    do {
        last = get_bits(&r, 1);
        uint32_t kind = get_bits(&r, 2);
        if (kind == 0) {
            r.count = 0;
            r.bits = 0;
            size_t length = get_bits(&r, 16);
            if (get_bits(&r, 16) != (length ^ 0xFFFFU) || r.short_of || length > (size_t)(r.end - r.at) ||
                length > out_size - filled) {
                return TML_ERR_BAD_SAMPLE;
            }
            for (; length != 0; length--) {
                out[filled++] = *r.at++;
            }
            continue;
        }
        if (kind != 1) {
            return TML_ERR_BAD_SAMPLE;
        }
        for (;;) {
            uint32_t symbol = get_symbol(&r);
            if (r.short_of || symbol > 285U) {
                return TML_ERR_BAD_SAMPLE;
            }
            if (symbol == 256U) {
                break;
            }
            if (symbol < 256U) {
                if (filled == out_size) {
                    return TML_ERR_BAD_SAMPLE;
                }
                out[filled++] = (uint8_t)symbol;
                continue;
            }
            uint32_t length = get_length(&r, symbol);
            symbol = get_code(&r, 0, 5);
            if (symbol > 29U) {
                return TML_ERR_BAD_SAMPLE;
            }
            uint32_t distance = get_distance(&r, symbol);
            if (r.short_of || distance > filled || length > out_size - filled) {
                return TML_ERR_BAD_SAMPLE;
            }
            for (; length != 0; length--, filled++) {
                out[filled] = out[filled - distance];
            }
        }
    } while (last == 0);
    return r.at == r.end && filled == out_size && !r.short_of ? TML_OK : TML_ERR_BAD_SAMPLE;
}
