#include "selftest.h"

#include <string.h>

#define LINE 64U
#define DECIMALS 10000.0F
#define LARGEST 1e14F /* what a number with four decimals has room for in 64 bits */

const tml_samples *selftest_samples(void) {
#if defined(TML_HAS_SAMPLES)
    return &tml_the_samples;
#else
    return NULL;
#endif
}

static float real_value(const tml_tensor *tensor, const void *data, uint32_t at) {
    int16_t wide;
    float real;
    switch (tensor->dtype) {
    case TML_INT8:
        return tensor->scale * (float)(((const int8_t *)data)[at] - tensor->zero_point);
    case TML_UINT8:
        return tensor->scale * (float)(((const uint8_t *)data)[at] - tensor->zero_point);
    case TML_INT16:
        memcpy(&wide, (const uint8_t *)data + 2U * at, sizeof wide);
        return tensor->scale * (float)(wide - tensor->zero_point);
    case TML_FLOAT32:
        break;
    }
    memcpy(&real, (const uint8_t *)data + 4U * at, sizeof real);
    return real;
}

/* Without stdio, whose floats need a heap on some boards. */
static void add_real(tml_text *out, float value) {
    const float size = value < 0 ? -value : value;
    if (!(size < LARGEST)) {
        tml_text_add(out, "out-of-range");
        return;
    }
    uint64_t steps = (uint64_t)(size * DECIMALS + 0.5F);
    if (value < 0 && steps != 0) {
        tml_text_char(out, '-');
    }
    tml_text_number(out, steps / 10000U);
    tml_text_char(out, '.');
    for (uint64_t unit = 1000U; unit != 0; unit /= 10U) {
        tml_text_char(out, (char)('0' + (int)(steps / unit % 10U)));
    }
}

static void number_after(tml_text *out, const char *name, uint64_t value) {
    tml_text_add(out, name);
    tml_text_number(out, value);
}

/* What the host takes for the answer, too: the first of the largest, or on which side of one half a single output is.
 */
static uint32_t class_of(const tml_tensor *tensor, const void *scores, uint32_t classes) {
    uint32_t best = 0;
    if (classes == 1) {
        return real_value(tensor, scores, 0) >= 0.5F ? 1U : 0U;
    }
    for (uint32_t i = 1; i < classes; i++) {
        if (real_value(tensor, scores, i) > real_value(tensor, scores, best)) {
            best = i;
        }
    }
    return best;
}

static bool fits(const tml_session *session, const tml_samples *samples) {
    if (samples->tensors) {
        return samples->bytes == session->input_bytes;
    }
    return session->model->preprocess.kind != TML_PRE_NONE &&
           samples->bytes == tml_tensor_elements(&session->model->input);
}

static void fill(const tml_session *session, const tml_samples *samples, uint32_t at) {
    const tml_model *model = session->model;
    uint8_t *input = session->config.engine->input(session->config.engine);
    const uint8_t *sample = samples->data + (size_t)at * samples->bytes;
    if (samples->tensors) {
        memcpy(input, sample, samples->bytes);
    } else {
        tml_preprocess_run(&model->preprocess, &model->input, sample, input);
    }
}

bool selftest_run(const tml_session *session, const tml_samples *samples, void (*line)(void *context, const char *text),
                  void *context, tml_text *answer) {
    char buffer[LINE];
    const tml_tensor *output = &session->model->output;
    const uint32_t classes = tml_tensor_elements(output);
    tml_engine *engine = session->config.engine;
    uint32_t right = 0;
    if (samples == NULL || samples->count == 0) {
        tml_text_add(answer, "no images are compiled in");
        return false;
    }
    if (session->busy_seq != 0 || session->engine_status != TML_OK || !fits(session, samples)) {
        tml_text_add(answer, session->busy_seq != 0             ? "a batch is being computed"
                             : session->engine_status != TML_OK ? "the engine could not be initialised"
                                                                : "the images do not fit this model");
        return false;
    }
    for (uint32_t i = 0; i < samples->count; i++) {
        tml_text text = tml_text_in(buffer, sizeof buffer);
        fill(session, samples, i);
        if (engine->invoke(engine) != TML_OK) {
            number_after(answer, "the engine failed at image ", i);
            return false;
        }
        const void *scores = engine->output(engine);
        const int32_t label = samples->labels != NULL ? samples->labels[i] : TML_NO_LABEL;
        number_after(&text, "image ", i);
        if (label >= 0) {
            number_after(&text, " label ", (uint64_t)label);
        }
        line(context, buffer);
        for (uint32_t c = 0; c < classes; c++) {
            text = tml_text_in(buffer, sizeof buffer);
            number_after(&text, "class ", c);
            tml_text_char(&text, ' ');
            add_real(&text, real_value(output, scores, c));
            line(context, buffer);
        }
        const uint32_t predicted = class_of(output, scores, classes);
        text = tml_text_in(buffer, sizeof buffer);
        number_after(&text, "predicted ", predicted);
        line(context, buffer);
        right += label >= 0 && predicted == (uint32_t)label ? 1U : 0U;
    }
    number_after(answer, "images=", samples->count);
    if (samples->labels != NULL) {
        number_after(answer, " right=", right);
    }
    return true;
}
