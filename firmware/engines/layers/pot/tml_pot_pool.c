/* Largest and mean of windows. */
#include "tml_pot.h"
#include "tml_pot_round.h"

/* Rows or columns of the input under a window: begin..end - 1. */
typedef struct {
    int32_t begin, end;
} window;

static window inside(int32_t at, int32_t stride, int32_t pad, int32_t kernel, int32_t size) {
    const int32_t first = at * stride - pad;
    const int32_t last = first + kernel;
    return (window){.begin = first < 0 ? 0 : first, .end = last > size ? size : last};
}

/* sum / count / 2^shift to the nearest. ESP-DL multiplies by a float32 of 1 / count, which rounds the same but for
 * halves that a count other than a power of two makes. */
static int64_t mean(int64_t sum, int32_t count, const tml_pot_pool *p) {
    const int64_t scaled = p->shift < 0 ? (int64_t)((uint64_t)sum << -p->shift) : sum;
    const int64_t divisor = p->shift > 0 ? (int64_t)count << p->shift : count;
    int64_t floor = scaled / divisor;
    int64_t rest = scaled % divisor;
    if (rest < 0) {
        floor--;
        rest += divisor;
    }
    return floor + (2 * rest > divisor || (2 * rest == divisor && (!p->half_even || (floor & 1))));
}

#define FEATURE int8_t
#define LOW INT8_MIN
#define HIGH INT8_MAX
#define MAX_POOL tml_pot_max_pool_s8
#define AVG_POOL tml_pot_avg_pool_s8
#include "tml_pot_pool_body.h"
#undef FEATURE
#undef LOW
#undef HIGH
#undef MAX_POOL
#undef AVG_POOL

#define FEATURE int16_t
#define LOW INT16_MIN
#define HIGH INT16_MAX
#define MAX_POOL tml_pot_max_pool_s16
#define AVG_POOL tml_pot_avg_pool_s16
#include "tml_pot_pool_body.h"
