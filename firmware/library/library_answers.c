/* What outputs mean: labels, numbers in units, anomalies. Linked only when it is called. */
#include "library.h"

#ifdef LIBRARY_LABELS
const char *library_label(int index)
{
    static const char *const labels[] = {LIBRARY_LABELS};
    return index >= 0 && index < (int)(sizeof(labels) / sizeof(labels[0])) ? labels[index] : "";
}
#endif

#if LIBRARY_SEVERAL
bool library_has(const library_t *m, int index)
{
    const library_score_t *const scores = library_scores(m);
    return scores != NULL && index >= 0 && index < MODEL_ANSWERS_COUNT &&
           scores[index] > model_answers[index].threshold;
}
#endif

#if LIBRARY_NUMBERS
/* As firmware/stream/app_live.c prints it: (offset + step * output) / 2^24, halves up. */
int32_t library_fixed(const library_t *m, int index)
{
    const library_score_t *const outputs = library_scores(m);
    if (outputs == NULL || index < 0 || index >= MODEL_ANSWERS_COUNT) {
        return 0;
    }
    const model_answer_t *const answer = &model_answers[index];
    return (int32_t)((answer->offset + answer->step * outputs[index] + (1 << 23)) >> 24);
}
#endif

#if LIBRARY_ANOMALY
_Static_assert(MODEL_GOLDEN_INPUT_BYTES == LIBRARY_ANOMALY &&
                   MODEL_GOLDEN_OUTPUT_BYTES == LIBRARY_ANOMALY,
               "the output is compared with the input, byte by byte");

/* As model/tasks.py's IntegerError: the sum of (multiplier (o - zero_out) - 4096 (q - zero_in))^2.
 */
uint64_t library_anomaly(const library_t *m)
{
    const library_object_t *const object = library_object(m);
    const int8_t *const output = library_output(m, 0);
    uint64_t score = 0;
    if (output == NULL) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(object->input); i++) {
        const int32_t difference =
            LIBRARY_ANOMALY_MULTIPLIER * (output[i] - (LIBRARY_ANOMALY_ZERO_OUT)) -
            4096 * (object->input[i] - (LIBRARY_ANOMALY_ZERO_IN));
        score += (uint64_t)((int64_t)difference * difference);
    }
    return score;
}

bool library_is_anomaly(const library_t *m)
{
    return library_anomaly(m) > LIBRARY_ANOMALY_THRESHOLD;
}
#endif
