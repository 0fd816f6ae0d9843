#include "drift.h"

static void put(drift_t *drift, uint32_t test, int32_t value)
{
    uint8_t bin = 0;
    while (bin < DRIFT_BINS - 1 && value >= drift_edges[test][bin]) {
        bin++;
    }
    drift->bins[test] = bin;
}

void drift_look(drift_t *drift, const int8_t *input)
{
    int32_t energies[DRIFT_GROUPS] = {0};
    for (uint32_t channel = 0; channel < DRIFT_CHANNELS; channel++) {
        const int8_t *x = &input[drift_offsets[channel]];
        int32_t before = x[0];
        int32_t slope = 0;
        int32_t sum = 0;
        int32_t roughness = 0;
        int32_t energy = 0;
        for (uint32_t sample = 0; sample < DRIFT_SAMPLES; sample++) {
            const int32_t now = x[sample * DRIFT_STRIDE];
            const int32_t step = now - before;
            const int32_t bend = sample < 2 ? 0 : step - slope;
            const int32_t height = now - DRIFT_ZERO_POINT;
            slope = step;
            before = now;
            sum += now;
            roughness += bend < 0 ? -bend : bend;
            energy += height * height;
        }
        put(drift, 2 * channel, sum);
        put(drift, 2 * channel + 1, roughness);
        energies[drift_groups[channel]] += energy;
    }
    for (uint32_t group = 0; group < DRIFT_GROUPS; group++) {
        put(drift, 2 * DRIFT_CHANNELS + group, energies[group]);
    }
}

/* The class with the highest score, of equal ones the first; its score falls into a bin too. */
static uint32_t find_class(drift_t *drift, const int8_t *output)
{
    uint32_t class = 0;
    if (DRIFT_CLASSES > 1) {
        for (uint32_t i = 1; i < DRIFT_CLASSES; i++) {
            class = output[i] > output[class] ? i : class;
        }
        put(drift, DRIFT_TESTS - 1, output[class]);
    }
    return class;
}

void drift_count(drift_t *drift, const int8_t *output)
{
    const uint32_t class = find_class(drift, output);
    const uint32_t outputs = DRIFT_OUTPUTS; /* may be 0 */
    for (uint32_t i = 0; i < outputs; i++) {
        put(drift, DRIFT_TESTS - outputs + i, output[i]);
    }
    if (drift->windows == UINT16_MAX) {
        return;
    }
    drift->windows++;
    for (uint32_t test = 0; test < DRIFT_TESTS; test++) {
        drift->counts[test * DRIFT_BINS + drift->bins[test]]++;
    }
    drift->counts[DRIFT_TESTS * DRIFT_BINS + class]++;
}
