/* What nn_pair_sums_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_mac16.h"

const int32_t *nn_pair_sums_s8(const int32_t *stream, const int16_t *x, int32_t steps, int32_t pairs,
                               int32_t *sums)
{
    const int32_t count = NN_MAC_STEP * steps;
    const int16_t *weights = (const int16_t *)(const void *)stream;
    for (int32_t pair = 0; pair < pairs; pair++) {
        uint32_t both = 0, lower = 0, inputs = 0;
        for (int32_t k = 0; k < count; k++) {
            both += (uint32_t)(x[k] * weights[k]);
            lower += (uint32_t)(x[k] * (weights[k] & 0xFF));
            inputs += (uint32_t)x[k];
        }
        sums[0] += (int32_t)(both - lower) >> 8;
        sums[1] += (int32_t)(lower - 128 * inputs);
        sums += 2;
        weights += count;
    }
    return (const int32_t *)(const void *)weights;
}
