/* Convolutions of integers with scales that are powers of two: sums of products, then one rounding. */
#include "tml_pot.h"
#include "tml_pot_round.h"

/* Which part of a window is inside the input: kernel indices begin..end - 1, of which k is at origin + k * dilation. */
typedef struct {
    int32_t origin, begin, end;
} tml_pot_range;

static tml_pot_range tml_pot_inside(int32_t at, int32_t stride, int32_t pad, int32_t dilation, int32_t kernel,
                                    int32_t size) {
    tml_pot_range range = {.origin = at * stride - pad, .begin = 0, .end = kernel};
    while (range.begin < range.end && range.origin + range.begin * dilation < 0) {
        range.begin++;
    }
    while (range.end > range.begin && range.origin + (range.end - 1) * dilation >= size) {
        range.end--;
    }
    return range;
}

#define FEATURE int8_t
#define SUM int32_t
#define HIGH INT8_MAX
#define DOT dot_s8
#define CONV tml_pot_conv_s8
#define DEPTHWISE tml_pot_depthwise_s8
#include "tml_pot_conv_body.h"
#undef FEATURE
#undef SUM
#undef HIGH
#undef DOT
#undef CONV
#undef DEPTHWISE

#define FEATURE int16_t
#define SUM int64_t
#define HIGH INT16_MAX
#define DOT dot_s16
#define CONV tml_pot_conv_s16
#define DEPTHWISE tml_pot_depthwise_s16
#include "tml_pot_conv_body.h"
