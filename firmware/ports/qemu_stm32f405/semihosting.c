#include "semihosting.h"

#include <string.h>

/* Numbers of the operations: semihosting.rst of ARM-software/abi-aa, "Semihosting operations". */
enum {
    SYS_OPEN = 0x01,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
};
#define ADP_STOPPED_APPLICATION_EXIT 0x20026U

static uint32_t request(uint32_t operation, const void *block) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    /* The immediate is what tells a request from a breakpoint on M-profile processors. Memory: the host reads and
     * writes what the block points to. */
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t address(const void *at) {
    return (uint32_t)(uintptr_t)at;
}

int32_t semihosting_open(const char *path, semihosting_mode mode) {
    const uint32_t block[] = {address(path), (uint32_t)mode, (uint32_t)strlen(path)};
    return (int32_t)request(SYS_OPEN, block);
}

/* The answer is the number of bytes that were *not* transferred. QEMU gives an error the same answer as the end of the
 * file, and copies its whole buffer back, however few bytes came: what stands behind them in `data` is lost. */
size_t semihosting_read(int32_t handle, void *data, size_t capacity) {
    const uint32_t block[] = {(uint32_t)handle, address(data), (uint32_t)capacity};
    const uint32_t missing = request(SYS_READ, block);
    return missing <= capacity ? capacity - missing : 0; /* a debugger may answer -1 */
}

size_t semihosting_write(int32_t handle, const void *data, size_t size) {
    const uint32_t block[] = {(uint32_t)handle, address(data), (uint32_t)size};
    const uint32_t missing = request(SYS_WRITE, block);
    return missing <= size ? size - missing : 0;
}

void semihosting_print(const char *text) {
    (void)request(SYS_WRITE0, text);
}

bool semihosting_command_line(char *text, size_t capacity) {
    const uint32_t block[] = {address(text), (uint32_t)capacity};
    return request(SYS_GET_CMDLINE, block) == 0;
}

void semihosting_exit(int status) {
    /* SYS_EXIT can say "ended" and "failed" only. */
    const uint32_t block[] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status};
    for (;;) {
        (void)request(SYS_EXIT_EXTENDED, block);
    }
}
