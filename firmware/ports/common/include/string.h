/* <string.h> for builds without a C library: what the firmware and the vendors' kernels use of it, and what compilers
 * call unasked (GCC manual, "Standards": a freestanding program must provide memcpy, memmove, memset and memcmp).
 * ports/common/freestanding.c defines them. Only bare-metal builds may have this folder on their include path. */
#ifndef TML_FREESTANDING_STRING_H
#define TML_FREESTANDING_STRING_H

#include <stddef.h>

#ifdef __cplusplus
#define TML_RESTRICT
extern "C" {
#else
#define TML_RESTRICT restrict
#endif

void *memcpy(void *TML_RESTRICT to, const void *TML_RESTRICT from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);

#undef TML_RESTRICT
#ifdef __cplusplus
}
#endif

#endif
