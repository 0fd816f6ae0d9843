/* Samples in physical units: the only floating point of a library, linked only when it is called.
 */
#include "library.h"

#if MODEL_FEATURES
static int16_t steps_of(float value, float lsb)
{
    const float steps = value / lsb;
    if (!(steps > -32768.0f)) { /* NaN too */
        return INT16_MIN;
    }
    return steps >= 32767.0f ? INT16_MAX : (int16_t)(steps + (steps < 0.0f ? -0.5f : 0.5f));
}

size_t library_push_float(library_t *m, const float *values, size_t instants)
{
    static const float lsb[MODEL_FE_CHANNELS] = LIBRARY_SAMPLE_LSB;
    int16_t sample[MODEL_FE_CHANNELS];
    size_t taken = 0;
    for (bool goes_on = values != NULL; goes_on && taken < instants;) {
        for (int channel = 0; channel < MODEL_FE_CHANNELS; channel++) {
            sample[channel] =
                steps_of(values[taken * MODEL_FE_CHANNELS + (size_t)channel], lsb[channel]);
        }
        goes_on = library_push(m, sample, 1) == 1;
        taken += goes_on ? 1u : 0u;
    }
    return taken;
}
#endif
