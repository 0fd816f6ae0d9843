/* A half-band low-pass of 63 taps, then every second sample. Every second tap is zero but the
 * middle one, and both sides are equal: 16 products and one shift for each sample that comes out.
 * Kaiser window, beta 4.5: even within 0.03 dB to 3.5 of 16 kHz, 50 dB down from 4.5 kHz on, where
 * what is left folds to below 3.5 kHz. The taps' sizes add up to 1.78, so a sum is below 2^31. */
#include "fe_halve.h"

#define SIDE 16
#define MIDDLE 31u /* the delay of the middle tap, which is 1/2 */
#define SHIFT 15

/* Q15: of the taps at distances 1, 3, 5 ... from the middle; they add up to 1/4. */
static const int16_t side[SIDE] = {
    10416, -3415, 1982, -1346, 978, -734, 559, -427, 324, -243, 179, -128, 89, -59, 36, -19,
};

static int32_t at(const fe_halve_t *state, uint32_t delay)
{
    return state->past[(state->count - 1u - delay) % FE_HALVE_PAST];
}

static int16_t filtered(const fe_halve_t *state)
{
    int32_t sum = at(state, MIDDLE) * (1 << (SHIFT - 1)) + (1 << (SHIFT - 1));
    for (uint32_t i = 0; i < SIDE; i++) {
        const uint32_t distance = 2u * i + 1u;
        sum += side[i] * (at(state, MIDDLE - distance) + at(state, MIDDLE + distance));
    }
    sum >>= SHIFT;
    return (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
}

size_t fe_halve(fe_halve_t *state, const int16_t *samples, size_t count, int16_t *halved)
{
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        state->past[state->count % FE_HALVE_PAST] = samples[i];
        state->count++;
        if (state->count % 2u == 0) {
            halved[made++] = filtered(state);
        }
    }
    return made;
}
