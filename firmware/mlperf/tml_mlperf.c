#include "tml_mlperf.h"

#include <string.h>

#include "tml_text.h"

#define LINE_BYTES 128U
#define CHUNK_BYTES 64U
#define PRINTED_BYTES 8U /* of `db print`, per line */
#define DEFAULT_WARMUPS 10U

/* ---- answers ---- */

static int send_text(tml_mlperf *device, const tml_text *text) {
    const tml_port *port = device->config.port;
    return port->write(port->context, (const uint8_t *)text->text, text->size);
}

/* before + middle + after as one line; one write per line. */
static int say(tml_mlperf *device, const char *before, const char *middle, const char *after) {
    char buffer[LINE_BYTES];
    tml_text line = tml_text_in(buffer, sizeof buffer - 2U);
    tml_text_add(&line, before);
    tml_text_add(&line, middle);
    tml_text_add(&line, after);
    line.capacity = sizeof buffer;
    tml_text_add(&line, "\r\n");
    return send_text(device, &line);
}

static int say_number(tml_mlperf *device, const char *before, uint32_t number, const char *after) {
    char digits[12];
    tml_text text = tml_text_in(digits, sizeof digits);
    tml_text_number(&text, number);
    return say(device, before, digits, after);
}

static int refuse(tml_mlperf *device, const char *reason) {
    return say(device, "e-[", reason, "]");
}

/* ---- words of a command ---- */

static bool is(const char *word, const char *name) {
    while (*word != '\0' && *word == *name) {
        word++;
        name++;
    }
    return *word == *name;
}

/* Cuts the next word out of the text; an empty one at its end. */
static char *next_word(char **rest) {
    char *at = *rest;
    while (*at == ' ') {
        at++;
    }
    char *word = at;
    while (*at != '\0' && *at != ' ') {
        at++;
    }
    if (*at != '\0') {
        *at++ = '\0';
    }
    *rest = at;
    return word;
}

static bool number_of(const char *word, uint32_t *value) {
    uint64_t number = 0;
    if (*word == '\0') {
        return false;
    }
    for (; *word != '\0'; word++) {
        if (*word < '0' || *word > '9') {
            return false;
        }
        number = number * 10U + (uint64_t)(*word - '0');
        if (number > UINT32_MAX) {
            return false;
        }
    }
    *value = (uint32_t)number;
    return true;
}

static int nibble(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ---- time ---- */

static int timestamp(tml_mlperf *device) {
    const tml_port *port = device->config.port;
    uint64_t ticks = port->ticks(port->context);
    uint64_t us = ticks / port->tick_hz * 1000000U + ticks % port->tick_hz * 1000000U / port->tick_hz;
    return say_number(device, "m-lap-us-", (uint32_t)us, "");
}

/* ---- db ---- */

static int db_load(tml_mlperf *device, const char *word) {
    uint32_t size;
    if (!number_of(word, &size) || size == 0) {
        return refuse(device, "Command 'db load' requires the # of bytes, >0");
    }
    device->loaded = device->expected = 0;
    if (size > device->config.buffer_size) {
        return say_number(device, "e-[Command 'db load' takes at most ", (uint32_t)device->config.buffer_size,
                          " bytes]");
    }
    device->expected = size;
    return say_number(device, "m-[Expecting ", size, " bytes]");
}

static int db_bytes(tml_mlperf *device, const char *digits) {
    size_t count = strlen(digits);
    if (count % 2U != 0) {
        return refuse(device, "Insufficent number of hex digits");
    }
    for (size_t i = 0; i < count; i += 2U) {
        int high = nibble(digits[i]);
        int low = nibble(digits[i + 1U]);
        if (high < 0 || low < 0) {
            return refuse(device, "Invalid hex digit");
        }
        if (device->loaded == device->expected) {
            return refuse(device, "Buffer is full, or 'db load' is missing");
        }
        device->config.buffer[device->loaded++] = (uint8_t)(high * 16 + low);
        if (device->loaded == device->expected) {
            /* The rest of the digits is disregarded, as elsewhere. */
            return say(device, "m-load-done", "", "");
        }
    }
    return TML_OK;
}

static int db_print(tml_mlperf *device) {
    for (size_t from = 0; from < device->loaded; from += PRINTED_BYTES) {
        char bytes[3U * PRINTED_BYTES + 1U];
        tml_text text = tml_text_in(bytes, sizeof bytes);
        for (size_t i = from; i < device->loaded && i < from + PRINTED_BYTES; i++) {
            if (i != from) {
                tml_text_char(&text, '-');
            }
            tml_text_char(&text, "0123456789abcdef"[device->config.buffer[i] >> 4]);
            tml_text_char(&text, "0123456789abcdef"[device->config.buffer[i] & 15U]);
        }
        int status = say(device, "m-buffer-", bytes, "");
        if (status != TML_OK) {
            return status;
        }
    }
    return TML_OK;
}

static int db(tml_mlperf *device, char *rest) {
    const char *word = next_word(&rest);
    if (*word == '\0') {
        return refuse(device, "Command 'db' requires a subcommand");
    }
    if (is(word, "load")) {
        return db_load(device, next_word(&rest));
    }
    return is(word, "print") ? db_print(device) : db_bytes(device, word);
}

/* ---- results ---- */

static float output_value(const tml_tensor *tensor, const void *output, uint32_t k) {
    int32_t q;
    switch (tensor->dtype) {
    case TML_INT8:
        q = ((const int8_t *)output)[k];
        break;
    case TML_UINT8:
        q = ((const uint8_t *)output)[k];
        break;
    case TML_INT16:
        q = ((const int16_t *)output)[k];
        break;
    default:
        return ((const float *)output)[k];
    }
    return tensor->scale * (float)(q - tensor->zero_point);
}

/* A decimal number with so many digits behind the point, rounded half away from zero. */
static void add_decimal(tml_text *text, float value, uint8_t digits) {
    uint64_t unit = 1;
    for (uint8_t i = 0; i < digits; i++) {
        unit *= 10U;
    }
    /* Not stdio: a port need not have it. NaN fails both comparisons. */
    if (!(value > -1e9f && value < 1e9f)) {
        tml_text_add(text, value >= 1e9f ? "inf" : value <= -1e9f ? "-inf" : "nan");
        return;
    }
    double magnitude = value < 0 ? -(double)value : (double)value;
    uint64_t scaled = (uint64_t)(magnitude * (double)unit + 0.5);
    if (value < 0 && scaled != 0) {
        tml_text_char(text, '-');
    }
    tml_text_number(text, scaled / unit);
    if (digits != 0) {
        tml_text_char(text, '.');
    }
    for (uint64_t place = unit / 10U; place != 0; place /= 10U) {
        tml_text_char(text, (char)('0' + (int)(scaled / place % 10U)));
    }
}

static int results(tml_mlperf *device) {
    const tml_tensor *tensor = &device->config.model->output;
    const uint32_t count = tml_tensor_elements(tensor);
    if (device->engine_status != TML_OK) {
        return refuse(device, "The engine could not be initialised");
    }
    const void *output = device->config.engine->output(device->config.engine);
    char buffer[LINE_BYTES];
    tml_text line = tml_text_in(buffer, sizeof buffer);
    tml_text_add(&line, "m-results-[");
    for (uint32_t k = 0; k < count; k++) {
        add_decimal(&line, output_value(tensor, output, k), device->config.digits);
        tml_text_add(&line, k + 1U < count ? "," : "]\r\n");
        /* A line of any length, a part of it at a time. */
        if (line.size > LINE_BYTES / 2U || k + 1U == count) {
            int status = send_text(device, &line);
            if (status != TML_OK) {
                return status;
            }
            line = tml_text_in(buffer, sizeof buffer);
        }
    }
    return TML_OK;
}

/* ---- infer ---- */

static bool make_tensor(tml_mlperf *device) {
    const tml_model *model = device->config.model;
    if (model->preprocess.kind != TML_PRE_NONE && device->loaded == tml_tensor_elements(&model->input)) {
        tml_preprocess_run(&model->preprocess, &model->input, device->config.buffer, device->config.tensor);
        return true;
    }
    if (device->loaded != tml_tensor_bytes(&model->input)) {
        return false;
    }
    memcpy(device->config.tensor, device->config.buffer, device->loaded);
    return true;
}

static int run(tml_mlperf *device, uint32_t times, int *engine_status) {
    tml_engine *engine = device->config.engine;
    const size_t size = tml_tensor_bytes(&device->config.model->input);
    int status = TML_OK;
    while (times-- != 0 && status == TML_OK) {
        memcpy(engine->input(engine), device->config.tensor, size);
        status = engine->invoke(engine);
    }
    *engine_status = status;
    return status == TML_OK ? TML_OK : refuse(device, "Inference failed");
}

static int infer(tml_mlperf *device, char *rest) {
    const char *word = next_word(&rest);
    uint32_t times = 1;
    uint32_t warmups = DEFAULT_WARMUPS;
    if (*word != '\0' && (!number_of(word, &times) || times == 0)) {
        return refuse(device, "Inference iterations must be >0");
    }
    word = next_word(&rest);
    if (*word != '\0' && !number_of(word, &warmups)) {
        return refuse(device, "Inference warmup must be >=0");
    }
    if (device->engine_status != TML_OK) {
        return refuse(device, "The engine could not be initialised");
    }
    if (!make_tensor(device)) {
        return say_number(device, "e-[Input db has ", (uint32_t)device->loaded, " bytes, which is no input]");
    }
    int failed;
    int status = say_number(device, "m-warmup-start-", warmups, "");
    status = status == TML_OK ? run(device, warmups, &failed) : status;
    if (status != TML_OK || failed != TML_OK) {
        return status;
    }
    status = say(device, "m-warmup-done", "", "");
    status = status == TML_OK ? say_number(device, "m-infer-start-", times, "") : status;
    status = status == TML_OK ? timestamp(device) : status;
    status = status == TML_OK ? run(device, times, &failed) : status;
    if (status != TML_OK || failed != TML_OK) {
        return status;
    }
    status = timestamp(device);
    status = status == TML_OK ? say(device, "m-infer-done", "", "") : status;
    return status == TML_OK ? results(device) : status;
}

/* ---- commands ---- */

static int help(tml_mlperf *device) {
    static const char *const lines[] = {
        "name          the vendor",         "profile       the profile and the model",
        "timestamp     microseconds",       "db load N     take N bytes",
        "db HH[HH]*    some of them",       "db print      show them",
        "infer N [W]   W and N inferences", "results       the outputs",
    };
    int status = TML_OK;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0] && status == TML_OK; i++) {
        status = say(device, lines[i], "", "");
    }
    return status;
}

static int answer(tml_mlperf *device, char *command) {
    const tml_mlperf_config *config = &device->config;
    const char *word = next_word(&command);
    if (is(word, "name")) {
        return say(device, "m-name-dut-[", config->vendor, "]");
    }
    if (is(word, "profile")) {
        int status = say(device, "m-profile-[", config->profile, "]");
        return status == TML_OK ? say(device, "m-model-[", config->model->name, "]") : status;
    }
    if (is(word, "timestamp")) {
        return timestamp(device);
    }
    if (is(word, "db")) {
        return db(device, command);
    }
    if (is(word, "infer")) {
        return infer(device, command);
    }
    if (is(word, "results")) {
        return results(device);
    }
    return is(word, "help") ? help(device) : say(device, "e-[Unknown command: ", word, "]");
}

static int take(tml_mlperf *device, char c) {
    if (c != '%') {
        if (device->command_size < TML_MLPERF_COMMAND) {
            /* A command may be answered with its own words: they shall not look like a line of ours. */
            device->command[device->command_size++] = c >= ' ' && c <= '~' ? c : '?';
        } else {
            device->too_long = true;
        }
        return TML_OK;
    }
    device->command[device->command_size] = '\0';
    int status = device->too_long ? refuse(device, "Command too long") : answer(device, device->command);
    device->command_size = 0;
    device->too_long = false;
    return status == TML_OK ? say(device, "m-ready", "", "") : status;
}

int tml_mlperf_poll(tml_mlperf *device, uint32_t timeout_ms) {
    const tml_port *port = device->config.port;
    uint8_t chunk[CHUNK_BYTES];
    int32_t got = port->read(port->context, chunk, sizeof chunk, timeout_ms);
    if (got == TML_ERR_OVERRUN) {
        return TML_OK; /* the host notices what is missing */
    }
    int status = got < 0 ? (int)got : TML_OK;
    for (int32_t i = 0; i < got && status == TML_OK; i++) {
        status = take(device, (char)chunk[i]);
    }
    return status;
}

int tml_mlperf_init(tml_mlperf *device, const tml_mlperf_config *config) {
    *device = (tml_mlperf){.config = *config};
    if (config->port->tick_hz == 0 || config->digits > TML_MLPERF_MAX_DIGITS ||
        config->buffer_size < tml_tensor_bytes(&config->model->input) ||
        tml_preprocess_check(&config->model->preprocess, &config->model->input) != TML_OK) {
        return TML_ERR_CONFIG;
    }
    device->engine_status = config->engine->init(config->engine);
    int status = say(device, "m-timestamp-mode-performance", "", "");
    status = status == TML_OK ? timestamp(device) : status;
    status = status == TML_OK ? say(device, "m-init-done", "", "") : status;
    return status == TML_OK ? say(device, "m-ready", "", "") : status;
}
