/* What tests/vectors/generate.py fills in. */
#ifndef VECTOR_TYPES_H
#define VECTOR_TYPES_H

#include "tml.h"

typedef struct {
    const uint8_t *data;
    size_t size;
} test_blob;

typedef struct {
    int error; /* code of PROTOCOL.md, or 0: a frame */
    uint16_t seq;
    uint8_t type;
    test_blob payload;
} test_event;

typedef struct {
    const char *name;
    size_t max_frame;
    bool canonical;
    test_blob stream;
    const test_event *events;
    size_t count;
} test_stream;

typedef struct {
    uint32_t id;
    test_blob data;
} test_sample;

typedef struct {
    const char *name;
    tml_type type;
    test_blob payload;
    int error;
    uint32_t number; /* session, kind, encoding or total */
    const test_sample *samples;
    size_t count;
} test_request;

typedef struct {
    const char *name;
    tml_identity identity;
    test_blob payload;
} test_identity;

typedef struct {
    uint32_t id, ticks;
    test_blob scores;
} test_result;

typedef struct {
    const char *name;
    bool last;
    const test_result *results;
    size_t count;
    test_blob payload;
} test_results;

typedef struct {
    const char *name;
    uint32_t id, ticks, crc;
    test_blob scores;
    test_blob payload;
} test_canary;

typedef struct {
    uint8_t key;
    uint64_t value;
} test_stat;

typedef struct {
    const char *name;
    const test_stat *stats;
    size_t count;
    test_blob payload;
} test_stats;

typedef struct {
    const char *name;
    int code;
    uint32_t sample_id;
    const char *text;
    test_blob payload;
} test_error;

typedef struct {
    const char *name;
    test_blob data;
    size_t size;
    bool good;
    uint32_t crc;
} test_packed;

typedef struct {
    const char *name;
    tml_tensor tensor;
    tml_preprocess preprocess;
    test_blob pixels;
    test_blob output;
} test_preprocess;

typedef struct {
    const char *name;
    test_blob package;
    bool good;
    const char *model;
    tml_preprocess_kind kind;
    uint32_t row;
    tml_tensor input;
    tml_tensor output;
    test_blob file;
} test_package;

#endif
