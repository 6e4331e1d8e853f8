/* QEMU's simcalls (-semihosting): number in a2, arguments in a3 to a5, result in a2, error number in a3. Numbers and
 * meanings: QEMU, target/xtensa/xtensa-semi.c. The file descriptors are the host's own. */
#include "emulated.h"
#include "xtensa.h"

enum {
    SYS_EXIT = 1,
    SYS_READ = 3,
    SYS_WRITE = 4,
    SYS_OPEN = 5,
    SYS_CLOSE = 6,
    SYS_SELECT_ONE = 29,
    SYS_ARGC = 1000,
    SYS_ARGV_SIZE = 1001,
    SYS_ARGV = 1002,
};
enum { SELECT_NOTHING = 0, SELECT_READ = 1, SELECT_WRITE = 2 };

#define PAGE_BYTES 4096U /* TARGET_PAGE_SIZE */
#define STDERR 2

static sim_answer simcall(int32_t number, uint32_t a, uint32_t b, uint32_t c) {
    register int32_t a2 __asm__("a2") = number;
    register uint32_t a3 __asm__("a3") = a;
    register uint32_t a4 __asm__("a4") = b;
    register uint32_t a5 __asm__("a5") = c;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return (sim_answer){.result = a2, .error = (int32_t)a3};
}

/* QEMU reads and writes page by page and goes on with the next page when one was filled: into a pipe that is empty by
 * then it would wait for bytes that nobody has sent. */
static uint32_t within_page(const void *data, size_t size) {
    uint32_t left = PAGE_BYTES - ((uint32_t)(uintptr_t)data & (PAGE_BYTES - 1U));
    return size < left ? (uint32_t)size : left;
}

int sim_open(const char *path, bool to_write) {
    return (int)simcall(SYS_OPEN, (uint32_t)(uintptr_t)path, to_write ? 1U : 0U, 0).result;
}

void sim_close(int fd) {
    (void)simcall(SYS_CLOSE, (uint32_t)fd, 0, 0);
}

sim_answer sim_read(int fd, void *data, size_t size) {
    return simcall(SYS_READ, (uint32_t)fd, (uint32_t)(uintptr_t)data, within_page(data, size));
}

sim_answer sim_write(int fd, const void *data, size_t size) {
    return simcall(SYS_WRITE, (uint32_t)fd, (uint32_t)(uintptr_t)data, within_page(data, size));
}

sim_answer sim_wait(int fd, bool to_write, uint32_t timeout_ms) {
    const uint32_t time[2] = {timeout_ms / 1000U, timeout_ms % 1000U * 1000U}; /* seconds, microseconds */
    return simcall(SYS_SELECT_ONE, (uint32_t)fd, to_write ? SELECT_WRITE : SELECT_READ, (uint32_t)(uintptr_t)time);
}

void sim_sleep_us(uint32_t us) {
    const uint32_t time[2] = {0, us};
    (void)simcall(SYS_SELECT_ONE, STDERR, SELECT_NOTHING, (uint32_t)(uintptr_t)time);
}

uint32_t sim_argc(void) {
    return (uint32_t)simcall(SYS_ARGC, 0, 0, 0).result;
}

uint32_t sim_argv_bytes(void) {
    return (uint32_t)simcall(SYS_ARGV_SIZE, 0, 0, 0).result;
}

void sim_argv(void *block) {
    (void)simcall(SYS_ARGV, (uint32_t)(uintptr_t)block, 0, 0);
}

void sim_exit(int status) {
    for (;;) { /* without -semihosting the instruction does nothing */
        (void)simcall(SYS_EXIT, (uint32_t)status, 0, 0);
    }
}

void emulated_exit(int status) {
    sim_exit(status);
}

void emulated_console(const char *text) {
    /* Whole lines, so that they do not mix with QEMU's own; a longer one goes in pieces. */
    static char line[256];
    size_t used = 0;
    for (bool end = false; !end;) {
        end = *text == '\0';
        line[used++] = end ? '\n' : *text++;
        if (end || used == sizeof line) {
            for (size_t at = 0; at < used;) {
                sim_answer sent = sim_write(STDERR, line + at, used - at);
                if (sent.result <= 0 && sent.error != SIM_EINTR) {
                    return;
                }
                at += sent.result > 0 ? (size_t)sent.result : 0U;
            }
            used = 0;
        }
    }
}
