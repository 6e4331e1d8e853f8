/* The core of the tinyml firmware: PROTOCOL.md in C11, freestanding, without malloc and without global state. */
#ifndef TML_H
#define TML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tml_bytes.h"
#include "tml_engine.h"
#include "tml_model.h"
#include "tml_port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TML_PROTOCOL_VERSION 1
#define TML_NO_SAMPLE UINT32_C(0xFFFFFFFF)
#define TML_MAX_NAME 63 /* bytes of a name in IDENTITY */

#define TML_FEATURE_LOAD 1U /* of IDENTITY: LOAD is understood */

/* What functions return: 0, or the negated error code of PROTOCOL.md section 3, or one of the core's own. */
enum {
    TML_OK = 0,
    TML_ERR_BAD_FRAME = -1,
    TML_ERR_BAD_VERSION = -2,
    TML_ERR_UNKNOWN_TYPE = -3,
    TML_ERR_BAD_PAYLOAD = -4,
    TML_ERR_TOO_LARGE = -5,
    TML_ERR_BAD_ENCODING = -6,
    TML_ERR_BAD_SAMPLE = -7,
    TML_ERR_ENGINE = -8,
    TML_ERR_FAULT = -9,
    TML_ERR_OVERRUN = -10,
    TML_ERR_CLOSED = -100, /* the host closed the line */
    TML_ERR_IO = -101,     /* the line failed */
    TML_ERR_CONFIG = -102, /* a buffer is too small, or the model's description makes no sense */
};

typedef enum {
    TML_HELLO = 0x01,
    TML_INFER = 0x02,
    TML_CANARY = 0x03,
    TML_STATS = 0x04,
    TML_RESET = 0x05,
    TML_ECHO = 0x06,
    TML_LOAD = 0x07,
    TML_IDENTITY = 0x81,
    TML_RESULT = 0x82,
    TML_CANARY_RESULT = 0x83,
    TML_STATS_RESULT = 0x84,
    TML_RESET_DONE = 0x85,
    TML_ECHO_RESULT = 0x86,
    TML_LOADED = 0x87,
    TML_LOG = 0xF0,
    TML_ERROR = 0xFF,
} tml_type;

typedef enum {
    TML_PIXELS = 0,
    TML_PIXELS_DEFLATE = 1,
    TML_TENSOR = 2,
    TML_TENSOR_DEFLATE = 3,
} tml_encoding;

/* ---- tml_frame.c: PROTOCOL.md section 1 ---- */

#define TML_FRAME_HEADER 4
#define TML_FRAME_OVERHEAD 8 /* header and CRC */

/* zlib's crc32: start with 0, hand the result back in to go on. */
uint32_t tml_crc32(uint32_t crc, const void *data, size_t size);

typedef struct {
    uint8_t type;
    uint16_t seq;
    const uint8_t *payload; /* inside the receiver's buffer, valid until the next tml_receive */
    size_t size;
} tml_frame;

typedef struct {
    uint8_t *buffer; /* the caller's */
    size_t capacity; /* of buffer, and the longest encoded frame, delimiter included */
    size_t size;     /* bytes decoded so far */
    size_t encoded;  /* bytes received so far of this frame */
    uint8_t code;    /* of the group being received */
    uint8_t left;    /* bytes of that group still to come */
    bool skipping;   /* until the next delimiter */
} tml_receiver;

void tml_receiver_init(tml_receiver *receiver, uint8_t *buffer, size_t capacity);

/* Drops what was received of the current frame, up to the next delimiter. */
void tml_receiver_skip(tml_receiver *receiver);

/* Takes received bytes until a frame ends; `*used` says how many. Returns 1 with a frame, 0 when all bytes were taken,
 * or the negative reason why a frame was dropped, with its `seq` (0 if it cannot be trusted) in `frame`. */
int tml_receive(tml_receiver *receiver, const uint8_t *data, size_t size, size_t *used, tml_frame *frame);

/* The place of the first zero, i.e. of a delimiter; `size` if there is none. */
size_t tml_find_zero(const uint8_t *data, size_t size);

/* Where the payload of a frame to be sent stands in a buffer of `capacity` bytes: behind the room that COBS may need.
 */
size_t tml_payload_offset(size_t capacity);
/* The largest payload that a buffer of `capacity` bytes can send; 0 if none. */
size_t tml_payload_capacity(size_t capacity);
/* Encodes the payload that stands at tml_payload_offset() in place. Returns the bytes to send from the buffer's start.
 */
size_t tml_frame_encode(uint8_t *buffer, size_t capacity, tml_type type, uint16_t seq, size_t payload_size);
/* A whole ERROR frame, text cut where it does not fit; returns its size. Safe in a fault handler. */
size_t tml_error_frame(uint8_t *buffer, size_t capacity, uint16_t seq, int error, uint32_t sample_id, const char *text);

/* ---- tml_codec.c: section 3 ---- */

typedef struct {
    uint32_t session;
    tml_clock clock;
    uint8_t encodings;
    uint16_t features;
    uint32_t tick_hz;
    uint32_t rx_window;
    uint32_t max_frame;
    uint32_t arena_used;
    uint32_t arena_capacity;
    uint32_t flash;
    uint32_t ram;
    const uint8_t *firmware_sha256; /* [32] */
    const uint8_t *model_sha256;    /* [32] */
    const tml_tensor *input;
    const tml_tensor *output;
    const char *firmware_version;
    const char *board;
    const char *chip;
    const char *engine;
    const char *model;
    const char *preprocess;
} tml_identity;

typedef struct {
    uint32_t id;
    uint16_t length;
    const uint8_t *data;
} tml_sample;

/* An INFER or CANARY whose layout was checked as a whole; tml_next_sample walks it. */
typedef struct {
    uint8_t encoding;
    uint16_t count; /* samples still to come */
    const uint8_t *at;
} tml_infer;

int tml_decode_hello(const uint8_t *payload, size_t size, uint32_t *session);
int tml_decode_infer(const uint8_t *payload, size_t size, tml_type type, tml_infer *infer);
bool tml_next_sample(tml_infer *infer, tml_sample *sample);
int tml_decode_reset(const uint8_t *payload, size_t size, uint8_t *kind);

/* One piece of a package. */
typedef struct {
    uint32_t offset;
    uint32_t total;
    const uint8_t *data;
    uint32_t size;
} tml_piece;

int tml_decode_load(const uint8_t *payload, size_t size, tml_piece *piece);

/* Encoders return the payload's size, or 0 if it does not fit. */
size_t tml_encode_identity(uint8_t *out, size_t capacity, const tml_identity *identity);
#define TML_RESULT_HEADER 4
#define TML_RESULT_OVERHEAD 8 /* of each result */
void tml_encode_result_header(uint8_t *out, uint16_t count, bool last);
void tml_encode_result(uint8_t *out, uint32_t id, uint32_t ticks, const void *scores, size_t size);
#define TML_CANARY_OVERHEAD 12
void tml_encode_canary_result(uint8_t *out, uint32_t id, uint32_t ticks, uint32_t crc, const void *scores, size_t size);
#define TML_STAT_BYTES 9
void tml_encode_stat(uint8_t *out, uint8_t key, uint64_t value);
size_t tml_encode_error(uint8_t *out, size_t capacity, int error, uint32_t sample_id, const char *text);

/* The bytes of `text`, at most `limit`, that hold no part of a UTF-8 character. */
size_t tml_text_size(const char *text, size_t limit);

uint32_t tml_tensor_elements(const tml_tensor *tensor);
uint32_t tml_tensor_bytes(const tml_tensor *tensor);

/* ---- tml_inflate.c: section 4 ---- */

/* Unpacks a raw DEFLATE stream of stored and fixed-Huffman blocks. Returns TML_OK only if the stream ends with the
 * input and fills `out` exactly, else TML_ERR_BAD_SAMPLE (`out` then holds an undefined part). */
int tml_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t out_size);

/* ---- tml_preprocess.c: section 5 ---- */

/* TML_OK if the description can be applied to the tensor, else TML_ERR_CONFIG. */
int tml_preprocess_check(const tml_preprocess *preprocess, const tml_tensor *tensor);
/* From pixels to an 8-bit input tensor of as many elements; `pixels` may be `out`. */
void tml_preprocess_run(const tml_preprocess *preprocess, const tml_tensor *tensor, const uint8_t *pixels,
                        uint8_t *out);

/* ---- tml_package.c: section 6 ---- */

#define TML_PACKAGE_HEADER 184U

/* Describes the model of a package, which has to stay where it is, aligned to 16 bytes. Returns TML_OK with the place
 * and size of the model file, or TML_ERR_BAD_PAYLOAD if the package is malformed or the file is not the one that it
 * claims to be. */
int tml_package_open(const uint8_t *package, size_t size, tml_model *model, const uint8_t **file, size_t *file_size);

/* FIPS 180-4. */
void tml_sha256(const uint8_t *data, size_t size, uint8_t digest[32]);

/* ---- tml_session.c: section 2 ---- */

typedef struct tml_session tml_session;

typedef struct {
    const tml_port *port;
    tml_engine *engine;
    const tml_model *model;
    const char *firmware_version;
    const char *firmware_sha256; /* 64 hex digits */
    uint8_t *rx;                 /* received bytes wait here; the larger, the sooner a HELLO is noticed */
    size_t rx_size;
    uint8_t *frame; /* one received frame; its size is announced as max_frame */
    size_t frame_size;
    uint8_t *tx; /* one frame to be sent: at least IDENTITY and one result */
    size_t tx_size;
    uint32_t rx_window; /* what the port can hold unread, at least 2 * frame_size */
    /* tml_session_load if models may be uploaded, and the engine can execute them; else NULL, and its code stays out of
     * the image. */
    int (*load)(tml_session *session, const tml_frame *frame);
    uint8_t *store; /* where an uploaded model stays, aligned to 16 bytes */
    size_t store_size;
} tml_config;

/* The caller's; only `busy_seq` and `busy_sample` are for others to read (a fault handler). */
struct tml_session {
    tml_config config;
    tml_receiver receiver;
    const tml_model *model; /* config.model, or `loaded` */
    tml_model loaded;
    uint32_t load_received; /* bytes of the package that is being uploaded, or was */
    uint32_t load_total;
    uint8_t firmware_sha256[32];
    uint8_t encodings;
    int engine_status;
    uint32_t input_bytes;
    uint32_t output_bytes;
    size_t rx_start; /* received and not yet decoded: [rx_start, rx_end) */
    size_t rx_end;
    size_t scan;    /* looked through for a HELLO up to here, ... */
    size_t segment; /* ... of which the frame that begins here has no end yet */
    uint32_t scan_ms;
    bool overrun; /* noticed while a batch was computed, not yet reported */
    uint16_t result_count;
    size_t result_size;
    uint32_t result_ms;
    volatile uint16_t busy_seq;
    volatile uint32_t busy_sample;
    uint64_t inferences;
    uint64_t frames_received;
    uint64_t frames_dropped;
    uint64_t bytes_received;
    uint64_t bytes_sent;
};

/* Checks the configuration and initialises the engine; an engine that fails is reported to the host when it is used.
 * Returns TML_OK or TML_ERR_CONFIG. */
int tml_session_init(tml_session *session, const tml_config *config);
/* Waits at most `timeout_ms` for bytes and answers the frames that they complete. Returns TML_OK, or TML_ERR_CLOSED or
 * TML_ERR_IO, after which the line is of no use. */
int tml_session_poll(tml_session *session, uint32_t timeout_ms);
/* For tml_config.load: answers LOAD. */
int tml_session_load(tml_session *session, const tml_frame *frame);
/* Sends a LOG frame, cut where it does not fit. Not while a batch is being answered: it would use the same buffer. */
int tml_session_log(tml_session *session, const char *text);

#ifdef __cplusplus
}
#endif

#endif
