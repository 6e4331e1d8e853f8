/* A model file and what the core has to know of it, as one block: PROTOCOL.md section 6. */
#include <string.h>

#include "tml.h"

#define MAGIC UINT32_C(0x314C4D54) /* TML1 */
#define LUT_BYTES 256U
#define TENSOR_BYTES 36U
#define ALIGNMENT 16U
enum { AT_SIZE = 4, AT_KIND = 8, AT_RESERVED = 9, AT_COUNT = 10, AT_ROW = 12, AT_SHA256 = 16, AT_NAME = 48 };
enum { NAME_BYTES = TML_MAX_NAME + 1, AT_INPUT = AT_NAME + NAME_BYTES, AT_OUTPUT = AT_INPUT + (int)TENSOR_BYTES };
_Static_assert(AT_OUTPUT + TENSOR_BYTES == TML_PACKAGE_HEADER && TML_PACKAGE_HEADER % 8 == 0,
               "thresholds are read in place");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian board must swap the thresholds here");

static void read_tensor(const uint8_t *at, tml_tensor *tensor) {
    uint32_t bits = tml_load32(at + 4);
    tensor->dtype = (tml_dtype)at[0];
    tensor->rank = at[1];
    memcpy(&tensor->scale, &bits, sizeof bits);
    bits = tml_load32(at + 8);
    memcpy(&tensor->zero_point, &bits, sizeof bits);
    for (size_t i = 0; i < TML_MAX_RANK; i++) {
        tensor->dims[i] = tml_load32(at + 12 + 4 * i);
    }
}

int tml_package_open(const uint8_t *package, size_t size, tml_model *model, const uint8_t **file, size_t *file_size) {
    uint8_t digest[32];
    if (size < TML_PACKAGE_HEADER || tml_load32(package) != MAGIC || package[AT_RESERVED] != 0 ||
        package[AT_NAME + NAME_BYTES - 1] != 0) {
        return TML_ERR_BAD_PAYLOAD;
    }
    const uint8_t *table = package + TML_PACKAGE_HEADER;
    uint8_t kind = package[AT_KIND];
    uint16_t count = tml_load16(package + AT_COUNT);
    size_t used = kind == TML_PRE_LUT ? LUT_BYTES : kind == TML_PRE_L2AXIS1 ? count * sizeof(uint64_t) : 0;
    size_t begin = (TML_PACKAGE_HEADER + used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    uint32_t bytes = tml_load32(package + AT_SIZE);
    if (kind > TML_PRE_L2AXIS1 || begin >= size || bytes != size - begin) {
        return TML_ERR_BAD_PAYLOAD;
    }
    tml_sha256(package + begin, bytes, digest);
    if (memcmp(digest, package + AT_SHA256, sizeof digest) != 0) {
        return TML_ERR_BAD_PAYLOAD;
    }
    model->name = (const char *)package + AT_NAME;
    memcpy(model->sha256, digest, sizeof digest);
    read_tensor(package + AT_INPUT, &model->input);
    read_tensor(package + AT_OUTPUT, &model->output);
    model->preprocess = (tml_preprocess){
        .kind = (tml_preprocess_kind)kind,
        .lut = (const int8_t *)table,
        .thresholds = (const uint64_t *)(const void *)table,
        .threshold_count = count,
        .row = tml_load32(package + AT_ROW),
    };
    *file = package + begin;
    *file_size = bytes;
    return TML_OK;
}
