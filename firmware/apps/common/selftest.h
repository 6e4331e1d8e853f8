/* The self-test: runs the samples that are compiled in, and says what each class gets. */
#ifndef SELFTEST_H
#define SELFTEST_H

#include "tml.h"
#include "tml_samples.h"
#include "tml_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The samples of this image; NULL if it was given none (TML_HAS_SAMPLES). */
const tml_samples *selftest_samples(void);

/* Hands one line after the other to `line`, without a line end, for each sample: "image K label L", then for each class
 * "class C VALUE", the output's real value with four decimals (a probability, where the model ends in a softmax), and
 * "predicted C", the first of the largest, or of a single output 1 from one half on.
 * `answer` takes the sum, "images=N right=N", or why nothing was run. Not while the session computes. Returns whether
 * all were run. */
bool selftest_run(const tml_session *session, const tml_samples *samples, void (*line)(void *context, const char *text),
                  void *context, tml_text *answer);

#ifdef __cplusplus
}
#endif

#endif
