#define _GNU_SOURCE
#include "faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef enum {
    CRASH,
    ABORT,
    EXIT,
    HANG,
    ENGINE_ERROR,
    CORRUPT_TX,
    TRUNCATE_TX,
    DROP_TX,
    CORRUPT_RX,
    COUNTED, /* kinds before this one take @N */
    STATE = COUNTED,
    WEIGHTS,
    KINDS,
} kind;

static const char *const names[KINDS] = {"crash",       "abort",   "exit",       "hang",  "engine-error", "corrupt-tx",
                                         "truncate-tx", "drop-tx", "corrupt-rx", "state", "weights"};

struct faults {
    tml_engine engine; /* first: the wrapper is found from it */
    tml_engine *inner_engine;
    tml_port inner_port;
    unsigned long at[KINDS]; /* 0: not asked for */
    unsigned long slow_us;
    unsigned long inferences, frames, chunks;
    const char *once_path;
    size_t input_bytes, output_bytes;
    uint8_t *scores;
    uint32_t history; /* CRC of every input so far */
};

static faults the_faults;

faults *faults_new(void) {
    return &the_faults;
}

bool faults_add(faults *f, const char *specification) {
    char *end;
    if (strncmp(specification, "slow=", 5) == 0) {
        f->slow_us = strtoul(specification + 5, &end, 10);
        return specification[5] != '\0' && *end == '\0';
    }
    for (unsigned i = 0; i < KINDS; i++) {
        size_t size = strlen(names[i]);
        if (strncmp(specification, names[i], size) != 0) {
            continue;
        }
        const char *rest = specification + size;
        if (i >= COUNTED && *rest == '\0') {
            f->at[i] = 1;
            return true;
        }
        if (i < COUNTED && *rest == '@') {
            f->at[i] = strtoul(rest + 1, &end, 10);
            return f->at[i] != 0 && *end == '\0';
        }
    }
    return false;
}

void faults_once(faults *f, const char *path) {
    f->once_path = path;
}

/* Is it this fault's turn? Remembers it in the file of --fault-once. */
static bool due(const faults *f, kind which, unsigned long count) {
    if (f->at[which] != count) {
        return false;
    }
    if (f->once_path != NULL) {
        int fd = open(f->once_path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) {
            return false;
        }
        close(fd);
    }
    fprintf(stderr, "fault injected: %s@%lu\n", names[which], count);
    return true;
}

static faults *of_engine(tml_engine *engine) {
    return (faults *)(void *)engine;
}

static int engine_init(tml_engine *engine) {
    return of_engine(engine)->inner_engine->init(of_engine(engine)->inner_engine);
}

static void *engine_input(tml_engine *engine) {
    return of_engine(engine)->inner_engine->input(of_engine(engine)->inner_engine);
}

static int engine_invoke(tml_engine *engine) {
    faults *f = of_engine(engine);
    volatile int *volatile nowhere = NULL;
    f->inferences++;
    if (due(f, CRASH, f->inferences)) {
        *nowhere = 1;
    }
    if (due(f, ABORT, f->inferences)) {
        abort();
    }
    if (due(f, EXIT, f->inferences)) {
        _exit(3);
    }
    if (due(f, HANG, f->inferences)) {
        for (;;) {
            pause();
        }
    }
    if (due(f, ENGINE_ERROR, f->inferences)) {
        return TML_ERR_ENGINE;
    }
    if (f->slow_us != 0) {
        struct timespec left = {.tv_sec = (time_t)(f->slow_us / 1000000U),
                                .tv_nsec = (long)(f->slow_us % 1000000U) * 1000};
        while (nanosleep(&left, &left) != 0) {
        }
    }
    uint32_t history = tml_crc32(f->history, engine_input(engine), f->input_bytes);
    int status = f->inner_engine->invoke(f->inner_engine);
    memcpy(f->scores, f->inner_engine->output(f->inner_engine), f->output_bytes);
    for (size_t i = 0; f->at[STATE] != 0 && i < f->output_bytes && i < sizeof f->history; i++) {
        f->scores[i] ^= (uint8_t)(f->history >> (8 * i));
    }
    if (f->at[WEIGHTS] != 0) {
        f->scores[f->output_bytes - 1] ^= 1U;
    }
    f->history = history;
    return status;
}

static const void *engine_output(tml_engine *engine) {
    return of_engine(engine)->scores;
}

static uint32_t engine_arena_used(const tml_engine *engine) {
    const tml_engine *inner = ((const faults *)(const void *)engine)->inner_engine;
    return inner->arena_used(inner);
}

static uint32_t engine_arena_capacity(const tml_engine *engine) {
    const tml_engine *inner = ((const faults *)(const void *)engine)->inner_engine;
    return inner->arena_capacity(inner);
}

/* The core sends one frame per call. */
static int port_write(void *context, const uint8_t *data, size_t size) {
    (void)context;
    faults *f = &the_faults;
    const tml_port *inner = &f->inner_port;
    f->frames++;
    if (due(f, DROP_TX, f->frames)) {
        return TML_OK;
    }
    if (due(f, TRUNCATE_TX, f->frames)) {
        return inner->write(inner->context, data, size / 2);
    }
    if (!due(f, CORRUPT_TX, f->frames)) {
        return inner->write(inner->context, data, size);
    }
    uint8_t *copy = malloc(size);
    if (copy == NULL) {
        return TML_ERR_IO;
    }
    memcpy(copy, data, size);
    copy[size / 2] ^= copy[size / 2] == 0x10U ? 0x20U : 0x10U; /* never into a delimiter */
    int status = inner->write(inner->context, copy, size);
    free(copy);
    return status;
}

static int32_t port_read(void *context, uint8_t *data, size_t capacity, uint32_t timeout_ms) {
    (void)context;
    faults *f = &the_faults;
    int32_t got = f->inner_port.read(f->inner_port.context, data, capacity, timeout_ms);
    if (got > 0) {
        f->chunks++;
        if (due(f, CORRUPT_RX, f->chunks)) {
            data[got / 2] ^= 0x10U;
        }
    }
    return got;
}

tml_engine *faults_wrap(faults *f, tml_port *port, tml_engine *engine, size_t input_bytes, size_t output_bytes) {
    bool any = f->slow_us != 0;
    for (unsigned i = 0; i < KINDS; i++) {
        any = any || f->at[i] != 0;
    }
    if (!any || (f->once_path != NULL && access(f->once_path, F_OK) == 0)) {
        return engine;
    }
    f->scores = calloc(1, output_bytes);
    if (f->scores == NULL) {
        return NULL;
    }
    f->input_bytes = input_bytes;
    f->output_bytes = output_bytes;
    f->inner_engine = engine;
    f->inner_port = *port;
    f->engine = (tml_engine){
        .name = engine->name,
        .init = engine_init,
        .input = engine_input,
        .invoke = engine_invoke,
        .output = engine_output,
        .arena_used = engine_arena_used,
        .arena_capacity = engine_arena_capacity,
    };
    port->write = port_write;
    port->read = port_read;
    return &f->engine;
}
