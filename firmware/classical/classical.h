/* What a classical model computes before and, where it is linear, when it decides.
 *
 * The generated classical_plan.h has the numbers of its model.
 */
#ifndef CLASSICAL_H
#define CLASSICAL_H

#include "classical_plan.h"

#define CLASSICAL_COUNTS 256 /* elements of scratch for a histogram of int8 values */

/* input: CLASSICAL_SAMPLES x CLASSICAL_CHANNELS, one sample after the other; features: statistics
 * of each channel, or the input as it is (CLASSICAL_STATISTICS is 0), which needs no counts. */
void classical_features(const int8_t *input, int16_t *features, uint16_t *counts);

/* scores = bias + weights * features for each class. */
static inline void classical_linear(const int32_t (*weights)[CLASSICAL_FEATURES],
                                    const int64_t *bias, const int16_t *features, int64_t *scores)
{
    for (int32_t i = 0; i < CLASSICAL_CLASSES; i++) {
        int64_t sum = bias[i];
        for (int32_t k = 0; k < CLASSICAL_FEATURES; k++) {
            sum += (int64_t)weights[i][k] * features[k];
        }
        scores[i] = sum;
    }
}

/* No votes for any class. */
static inline void classical_clear_votes(int16_t *votes)
{
    for (int32_t i = 0; i < CLASSICAL_CLASSES; i++) {
        votes[i] = 0;
    }
}

#endif
