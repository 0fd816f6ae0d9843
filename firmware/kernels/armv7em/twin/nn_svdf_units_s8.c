/* What nn_svdf_units_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_math.h"
#include "nn_packed.h"

int8_t *nn_svdf_units_s8(const nn_svdf_packed_t *p, int8_t *state, int8_t *output,
                         const int8_t *newest)
{
    const nn_requant_t requant = {.multiplier = p->multiplier, .shift = -p->shift};
    const int32_t memory = NN_GROUP * p->words + p->last_bytes;
    const int32_t *stream = p->stream;
    for (int32_t u = 0; u < p->units; u++) {
        int32_t sum = *stream++;
        for (int32_t f = 0; f < p->rank; f++) {
            const int8_t *const weights = (const int8_t *)(const void *)stream;
            for (int32_t m = 0; m < memory; m++) {
                const int32_t last = *newest + p->zero_point;
                state[m] = m + 1 < memory ? state[m + 1] : (int8_t)last;
                sum = nn_wrapping_add(sum, state[m] * weights[m]);
            }
            newest++;
            state += memory;
            stream += p->words + 1;
        }
        *output++ = nn_output_s8(sum, requant, p->output_offset, INT8_MIN, INT8_MAX);
    }
    return state;
}
