/* From pixels to the input tensor: PROTOCOL.md section 5. */
#include "tml.h"

#define THRESHOLD_BITS 40
/* T (at most 2^40) times the sum of 258 squares of a byte still fits in 64 bits; of 259 it does not. */
#define MAX_ROWS 258U
_Static_assert(UINT64_MAX / (UINT64_C(1) << THRESHOLD_BITS) / (255U * 255U) >= MAX_ROWS, "T[k] * S overflows");

int tml_preprocess_check(const tml_preprocess *preprocess, const tml_tensor *tensor) {
    uint32_t elements = tml_tensor_elements(tensor);
    bool bytes = tensor->dtype == TML_INT8 || tensor->dtype == TML_UINT8;
    switch (preprocess->kind) {
    case TML_PRE_NONE:
        return TML_OK;
    case TML_PRE_LUT:
        return bytes && preprocess->lut != NULL ? TML_OK : TML_ERR_CONFIG;
    case TML_PRE_L2AXIS1:
        break;
    default:
        return TML_ERR_CONFIG;
    }
    uint32_t row = preprocess->row;
    int32_t largest = tensor->dtype == TML_INT8 ? INT8_MAX : UINT8_MAX;
    if (!bytes || row == 0 || elements % row != 0 || elements / row > MAX_ROWS || preprocess->thresholds == NULL ||
        preprocess->threshold_count > largest - tensor->zero_point) {
        return TML_ERR_CONFIG;
    }
    for (uint16_t i = 0; i < preprocess->threshold_count; i++) {
        uint64_t t = preprocess->thresholds[i];
        if (t == 0 || t > UINT64_C(1) << THRESHOLD_BITS || (i > 0 && t < preprocess->thresholds[i - 1])) {
            return TML_ERR_CONFIG;
        }
    }
    return TML_OK;
}

/* The number of thresholds T with x^2 * 2^40 >= T * S; they ascend. */
static uint32_t steps(const tml_preprocess *preprocess, uint64_t square, uint64_t sum) {
    uint64_t scaled = square << THRESHOLD_BITS;
    uint32_t low = 0;
    uint32_t high = preprocess->threshold_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (scaled >= preprocess->thresholds[middle] * sum) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void l2axis1(const tml_preprocess *preprocess, const tml_tensor *tensor, const uint8_t *pixels, uint8_t *out) {
    uint32_t elements = tml_tensor_elements(tensor);
    uint32_t row = preprocess->row;
    for (uint32_t column = 0; column < row; column++) {
        uint64_t sum = 0;
        for (uint32_t i = column; i < elements; i += row) {
            sum += (uint64_t)pixels[i] * pixels[i];
        }
        for (uint32_t i = column; i < elements; i += row) {
            uint64_t square = (uint64_t)pixels[i] * pixels[i];
            uint32_t k = square == 0 ? 0 : steps(preprocess, square, sum);
            out[i] = (uint8_t)(tensor->zero_point + (int32_t)k);
        }
    }
}

void tml_preprocess_run(const tml_preprocess *preprocess, const tml_tensor *tensor, const uint8_t *pixels,
                        uint8_t *out) {
    if (preprocess->kind == TML_PRE_L2AXIS1) {
        l2axis1(preprocess, tensor, pixels, out);
        return;
    }
    uint32_t elements = tml_tensor_elements(tensor);
    for (uint32_t i = 0; i < elements; i++) {
        out[i] = (uint8_t)preprocess->lut[pixels[i]];
    }
}
