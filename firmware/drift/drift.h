/* Counts of what the model sees and answers, to be compared with the profile on the host.
 *
 * The generated drift_plan.h has the numbers of the profile, drift_plan.c its tables;
 * quantize/drift.py holds the same rule, and tests compare the counts.
 */
#ifndef DRIFT_H
#define DRIFT_H

#include "drift_plan.h"

typedef struct {
    uint16_t windows; /* counted; at 65535 counting stops, so that the counts stay a sample */
    uint16_t counts[DRIFT_TESTS * DRIFT_BINS + DRIFT_CLASSES]; /* bins of each test, then classes */
    uint8_t bins[DRIFT_TESTS]; /* of the window that is being looked at */
} drift_t;

/* Find the bins of an input. Call it before the model runs, which uses its inputs up. */
void drift_look(drift_t *drift, const int8_t *input);

/* Count that window with the model's answer to it. */
void drift_count(drift_t *drift, const int8_t *output);

#endif
