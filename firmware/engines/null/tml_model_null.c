/* The model of the null engine: int8 [1, 28, 28, 1] with scale 1/255 and zero point -128, so that a pixel becomes
 * pixel - 128; int8 [1, 10] out. */
#include "tml_model.h"

#define PIXEL(p) (int8_t)((p) - 128)
#define PIXELS4(p) PIXEL(p), PIXEL((p) + 1), PIXEL((p) + 2), PIXEL((p) + 3)
#define PIXELS16(p) PIXELS4(p), PIXELS4((p) + 4), PIXELS4((p) + 8), PIXELS4((p) + 12)
#define PIXELS64(p) PIXELS16(p), PIXELS16((p) + 16), PIXELS16((p) + 32), PIXELS16((p) + 48)

static const int8_t lut[256] = {PIXELS64(0), PIXELS64(64), PIXELS64(128), PIXELS64(192)};

const tml_model tml_the_model = {
    .name = "null",
    /* SHA-256 of "tinyml null model: int8 [1, 28, 28, 1] -> int8 [1, 10]": there is no file. */
    .sha256 =
        {
            0x63, 0xb4, 0x1c, 0x7b, 0x0b, 0x5b, 0x95, 0xd1, 0x37, 0x99, 0x9f, 0xfd, 0xaf, 0x2a, 0x59, 0x4d,
            0x6d, 0x5f, 0x9d, 0x16, 0x2c, 0x57, 0x4d, 0x36, 0x63, 0xaa, 0x5f, 0x28, 0x9c, 0x7b, 0x18, 0x16,
        },
    .input = {.dtype = TML_INT8, .rank = 4, .dims = {1, 28, 28, 1}, .scale = 1.0F / 255.0F, .zero_point = -128},
    .output = {.dtype = TML_INT8, .rank = 2, .dims = {1, 10}, .scale = 1.0F / 256.0F, .zero_point = -128},
    .preprocess = {.kind = TML_PRE_LUT, .lut = lut},
};
