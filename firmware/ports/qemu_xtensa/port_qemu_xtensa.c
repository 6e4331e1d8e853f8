/* The table of operations, and the bulk line: two files of the host, through simcalls. */
#include <string.h>

#include "emulated.h"
#include "xtensa.h"

#define WRITE_TIMEOUT_MS 30000U /* a host that does not read for so long is gone */
#define LONGEST_WAIT_MS 10000U  /* CCOUNT must be looked at more often than every 53 s: clock.c */
#define ARGUMENT_BYTES 512U
#define NO_FD (-1)

int main(void);
_Noreturn void xt_main(void);

static int in_fd = NO_FD;
static int out_fd = NO_FD;

void xt_main(void) {
    clock_start();
    emulated_exit(main());
}

/* Waits in pieces; also when a signal of QEMU's own ends the wait. 1, 0 on time-out, or negative. */
static int wait_for(int fd, bool to_write, uint32_t timeout_ms) {
    uint32_t start = clock_uptime_ms();
    uint32_t left = timeout_ms;
    for (;;) {
        sim_answer ready = sim_wait(fd, to_write, left < LONGEST_WAIT_MS ? left : LONGEST_WAIT_MS);
        if (ready.result > 0 || (ready.result < 0 && ready.error != SIM_EINTR)) {
            return (int)ready.result;
        }
        if (ready.result == 0 && left <= LONGEST_WAIT_MS) {
            return 0; /* not by the clock: with -icount it stands still while the firmware waits */
        }
        uint32_t waited = clock_uptime_ms() - start;
        if (ready.result == 0) {
            left -= LONGEST_WAIT_MS;
        } else if (waited >= timeout_ms) {
            return 0;
        } else if (timeout_ms - waited < left) {
            left = timeout_ms - waited;
        }
    }
}

static int32_t bulk_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    (void)context;
    int ready = wait_for(in_fd, false, timeout_ms);
    if (ready == 0) {
        return 0;
    }
    for (;;) {
        sim_answer got = sim_read(in_fd, data, capacity);
        if (got.result > 0) {
            return got.result;
        }
        if (got.result == 0 || got.error != SIM_EINTR) {
            return TML_ERR_CLOSED;
        }
    }
}

static int bulk_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    while (size != 0) {
        /* A pipe that is ready takes a page without blocking: pipe(7), PIPE_BUF. */
        if (wait_for(out_fd, true, WRITE_TIMEOUT_MS) == 0) {
            return TML_ERR_IO;
        }
        sim_answer sent = sim_write(out_fd, data, size);
        if (sent.result > 0) {
            data += sent.result;
            size -= (size_t)sent.result;
        } else if (sent.result == 0 || sent.error != SIM_EINTR) {
            return TML_ERR_CLOSED;
        }
    }
    return TML_OK;
}

static int32_t serial_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    (void)context;
    return uart_read(data, capacity, timeout_ms);
}

static int serial_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    return uart_write(data, size);
}

static uint64_t port_ticks(void *context) {
    (void)context;
    return clock_ticks();
}

static uint64_t port_instructions(void *context) {
    (void)context;
    return clock_instructions();
}

static uint32_t port_uptime_ms(void *context) {
    (void)context;
    return clock_uptime_ms();
}

static void port_log(void *context, const char *text) {
    (void)context;
    emulated_console(text);
}

static void port_restart(void *context) {
    (void)context;
    if (in_fd != NO_FD) {
        sim_close(in_fd);
        sim_close(out_fd);
    }
    /* Farther away than a call0 reaches. */
    __asm__ volatile("jx %0" ::"r"(xt_reset));
}

/* What was painted and never written, from the bottom up. */
static uint32_t least_free_stack(void) {
    const uint32_t *at = link_stack_bottom;
    while (at < link_stack_top && *at == XT_PAINT) {
        at++;
    }
    return (uint32_t)((uintptr_t)at - (uintptr_t)link_stack_bottom);
}

static bool port_stat(void *context, tml_stat key, uint64_t *value) {
    (void)context;
    if (key == TML_STAT_RX_OVERRUNS) {
        *value = uart_overruns(); /* the host makes the sender of a bulk line wait */
        return true;
    }
    if (key == TML_STAT_LEAST_FREE_STACK) {
        *value = least_free_stack();
        return true;
    }
    return false; /* there is no heap, and no fault is survived */
}

int emulated_port_init(tml_port *port, const emulated_options *options) {
    *port = (tml_port){
        .read = options->serial ? serial_read : bulk_read,
        .write = options->serial ? serial_write : bulk_write,
        .ticks = options->instructions ? port_instructions : port_ticks,
        .uptime_ms = port_uptime_ms,
        .log = port_log,
        .restart = port_restart,
        .stat = port_stat,
        .board = "qemu-xtensa",
        .chip = "Xtensa LX106 with an ESP32's memories, emulated",
        .clock = options->instructions ? TML_CLOCK_INSTRUCTIONS : TML_CLOCK_WALL,
        .tick_hz = options->instructions ? 0U : XT_CLOCK_HZ,
        .tick_mask = UINT64_MAX,
        .flash_bytes = (uint32_t)(uintptr_t)link_flash_bytes,
        .ram_bytes = (uint32_t)(uintptr_t)link_ram_bytes,
    };
    if (options->instructions && !clock_calibrate()) {
        emulated_console("QEMU does not count instructions: it must be run with -icount shift=5");
        return TML_ERR_IO;
    }
    if (options->serial) {
        uart_open(!options->instructions);
        return TML_OK;
    }
    in_fd = sim_open(options->in, false);
    out_fd = in_fd < 0 ? NO_FD : sim_open(options->out, true);
    return out_fd < 0 ? TML_ERR_IO : TML_OK;
}

/* ---- the command line ---- */

/* Without arg=..., QEMU puts the name of the ELF file there, and what -append says as one word: softmmu/vl.c calls
 * semihosting_arg_fallback(). No word of ours names a file in that format. */
static bool is_program(const char *word) {
    uint8_t magic[4] = {0};
    int fd = sim_open(word, false);
    if (fd < 0) {
        return false;
    }
    sim_answer got = sim_read(fd, magic, sizeof magic);
    sim_close(fd);
    return got.result == sizeof magic && memcmp(magic,
                                                "\x7f"
                                                "ELF",
                                                sizeof magic) == 0;
}

bool emulated_command_line(char *text, size_t capacity) {
    /* Pointers, the last one zero, and behind them the words that they point to. */
    static union {
        const char *words[ARGUMENT_BYTES / sizeof(char *)];
        char bytes[ARGUMENT_BYTES];
    } block;
    size_t used = 0;
    if (sim_argc() == 0 || sim_argv_bytes() > sizeof block) {
        return false;
    }
    sim_argv(&block);
    for (const char **word = block.words; *word != NULL; word++) {
        if (word == block.words && is_program(*word)) {
            continue;
        }
        size_t size = strlen(*word);
        if (used + size + 2 > capacity) {
            return false;
        }
        if (used != 0) {
            text[used++] = ' ';
        }
        memcpy(text + used, *word, size);
        used += size;
    }
    if (used == 0) {
        return false;
    }
    text[used] = '\0';
    return true;
}
