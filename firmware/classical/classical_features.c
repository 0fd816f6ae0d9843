#include "classical.h"

#if CLASSICAL_STATISTICS
static int32_t distance(int32_t a, int32_t b)
{
    return a < b ? b - a : a - b;
}

/* The elements of ranks 0, (n - 1) / 4, (n - 1) / 2, 3 (n - 1) / 4 and n - 1 of a histogram. */
static void ranks(const uint16_t *counts, int16_t *features)
{
    int32_t value = 0;
    int32_t below = counts[0];
    for (int32_t i = 0; i < 5; i++) {
        while (below <= i * (CLASSICAL_SAMPLES - 1) / 4) {
            value++;
            below += counts[value];
        }
        features[i * CLASSICAL_CHANNELS] = (int16_t)(value - 128);
    }
}

/* One channel: mean, mean distance to it and mean step (in sixteenths, rounded towards zero), how
 * often it crosses its mean, and five ranks. */
static void channel(const int8_t *input, int16_t *features, uint16_t *counts)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < CLASSICAL_COUNTS; i++) {
        counts[i] = 0;
    }
    for (int32_t t = 0; t < CLASSICAL_SAMPLES; t++) {
        sum += input[t * CLASSICAL_CHANNELS];
        counts[input[t * CLASSICAL_CHANNELS] + 128]++;
    }
    const int32_t mean = 16 * sum / CLASSICAL_SAMPLES;
    int32_t last = input[0];
    int32_t spread = 0;
    int32_t steps = 0;
    int32_t crossings = 0;
    for (int32_t t = 0; t < CLASSICAL_SAMPLES; t++) {
        const int32_t x = input[t * CLASSICAL_CHANNELS];
        spread += distance(16 * x, mean);
        steps += distance(x, last);
        crossings += (16 * x > mean) != (16 * last > mean);
        last = x;
    }
    features[0 * CLASSICAL_CHANNELS] = (int16_t)mean;
    features[1 * CLASSICAL_CHANNELS] = (int16_t)(spread / CLASSICAL_SAMPLES);
    features[2 * CLASSICAL_CHANNELS] = (int16_t)(16 * steps / (CLASSICAL_SAMPLES - 1));
    features[3 * CLASSICAL_CHANNELS] = (int16_t)crossings;
    ranks(counts, features + 4 * CLASSICAL_CHANNELS);
}

void classical_features(const int8_t *input, int16_t *features, uint16_t *counts)
{
    for (int32_t c = 0; c < CLASSICAL_CHANNELS; c++) {
        channel(input + c, features + c, counts);
    }
}
#else
void classical_features(const int8_t *input, int16_t *features, uint16_t *counts)
{
    (void)counts;
    for (int32_t i = 0; i < CLASSICAL_FEATURES; i++) {
        features[i] = input[i];
    }
}
#endif
