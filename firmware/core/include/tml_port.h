/* What the core needs of a board: one table of operations and constants, filled in by each folder under ports/. */
#ifndef TML_PORT_H
#define TML_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a tick is; codes of PROTOCOL.md section 3, IDENTITY. */
typedef enum {
    TML_CLOCK_WALL = 1,
    TML_CLOCK_CYCLES = 2,
    TML_CLOCK_INSTRUCTIONS = 3,
} tml_clock;

/* Keys of STATS_RESULT. The core counts 1 to 6 itself and asks the port for the rest. */
typedef enum {
    TML_STAT_UPTIME_MS = 1,
    TML_STAT_INFERENCES = 2,
    TML_STAT_FRAMES_RECEIVED = 3,
    TML_STAT_FRAMES_DROPPED = 4,
    TML_STAT_BYTES_RECEIVED = 5,
    TML_STAT_BYTES_SENT = 6,
    TML_STAT_RX_OVERRUNS = 7,
    TML_STAT_LEAST_FREE_STACK = 8,
    TML_STAT_LEAST_FREE_HEAP = 9,
    TML_STAT_FAULTS = 10,
    TML_STAT_COUNT = 10,
} tml_stat;

typedef struct tml_port {
    void *context; /* handed to every operation */

    /* Copies received bytes, at most `capacity`, waiting at most `timeout_ms` for the first of them.
     * Returns their number (0 on time-out), TML_ERR_OVERRUN once after received bytes were lost, or TML_ERR_CLOSED. */
    int32_t (*read)(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms);
    /* Sends all bytes, waiting within the port's own bound. Returns TML_OK, TML_ERR_IO or TML_ERR_CLOSED. */
    int (*write)(void *context, const uint8_t *data, size_t size);
    /* The clock that inferences are timed with. Bits beyond `tick_mask` are ignored. */
    uint64_t (*ticks)(void *context);
    uint32_t (*uptime_ms)(void *context);
    /* One line for the console, without a line end. */
    void (*log)(void *context, const char *text);
    /* Restarts the board; need not return. */
    void (*restart)(void *context);
    /* Optional (may be NULL): answers keys 7 to 10; false if this board does not know. */
    bool (*stat)(void *context, tml_stat key, uint64_t *value);

    const char *board; /* names in IDENTITY: UTF-8, at most 63 bytes */
    const char *chip;
    tml_clock clock;
    uint32_t tick_hz;     /* 0 for instructions */
    uint64_t tick_mask;   /* 2^n - 1 for a counter of n bits that runs through all its values */
    uint32_t flash_bytes; /* image size and static RAM; 0 where they cannot be known */
    uint32_t ram_bytes;
} tml_port;

#endif
