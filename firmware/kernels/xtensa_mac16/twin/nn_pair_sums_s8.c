/* What nn_pair_sums_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_mac16.h"

void nn_pair_sums_s8(const nn_pair_sums_t *p, const int32_t *stream, const int16_t *x,
                     int32_t *sums)
{
    const int32_t count = NN_MAC_STEP * p->steps;
    const int16_t *weights = (const int16_t *)(const void *)stream;
    for (int32_t pair = 0; pair < p->pairs; pair++) {
        uint32_t both = 0;
        int32_t lower = 0, inputs = 0;
        for (int32_t k = 0; k < count; k++) {
            both += (uint32_t)(x[k] * weights[k]);
            lower += x[k] * (weights[k] & 0xFF);
            inputs += x[k];
        }
        sums[0] += (int32_t)(both - (uint32_t)lower) >> 8;
        sums[1] += lower - 128 * inputs;
        sums += 2;
        weights += count;
    }
}
