/* The serial protocol that MLPerf Tiny's and EEMBC's runners speak, as a device answers it: in place of the frames of
 * PROTOCOL.md, on the same port, engine and model. Freestanding.
 *
 * Commands end with '%', answers are lines that end with "\r\n", and the last line of each answer is "m-ready":
 *
 *   name          m-name-dut-[VENDOR]
 *   profile       m-profile-[PROFILE], m-model-[MODEL]
 *   timestamp     m-lap-us-N, microseconds modulo 2^32
 *   db load N     m-[Expecting N bytes]
 *   db HH...      nothing; m-load-done with the last byte
 *   db print      m-buffer-HH-HH-..., eight bytes a line
 *   infer N W     m-warmup-start-W, m-warmup-done, m-infer-start-N, m-lap-us-T, m-lap-us-T, m-infer-done, results
 *   results       m-results-[0.003,0.996,...]
 *   help          a line per command
 *
 * What cannot be done is answered with e-[REASON]. Written from the public description of the protocol (the README of
 * eembc/energyrunner and the device interface of mlcommons/tiny). */
#ifndef TML_MLPERF_H
#define TML_MLPERF_H

#include "tml.h"

#define TML_MLPERF_COMMAND 80U /* characters of a command that are kept */
#define TML_MLPERF_MAX_DIGITS 9U

typedef struct {
    const tml_port *port; /* its clock must be one with a duration, and must not wrap within an `infer` */
    tml_engine *engine;
    const tml_model *model;
    const char *vendor;
    const char *profile;
    uint8_t *buffer; /* of `db`: at least one input */
    size_t buffer_size;
    uint8_t
        *tensor; /* one input tensor: engines may use their input's memory for something else when they have read it */
    uint8_t digits; /* behind the decimal point in results */
} tml_mlperf_config;

/* The caller's. */
typedef struct {
    tml_mlperf_config config;
    char command[TML_MLPERF_COMMAND + 1U];
    size_t command_size;
    bool too_long;
    size_t expected; /* bytes announced by `db load` ... */
    size_t loaded;   /* ... and received */
    int engine_status;
} tml_mlperf;

/* Initialises the engine and says m-init-done. Returns TML_OK, TML_ERR_CONFIG, or what the port's write gave. */
int tml_mlperf_init(tml_mlperf *device, const tml_mlperf_config *config);
/* Waits at most `timeout_ms` for bytes and answers the commands that they complete. Returns TML_OK, or TML_ERR_CLOSED
 * or TML_ERR_IO, after which the line is of no use. */
int tml_mlperf_poll(tml_mlperf *device, uint32_t timeout_ms);

#endif
