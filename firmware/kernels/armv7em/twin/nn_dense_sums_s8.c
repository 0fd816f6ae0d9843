/* What nn_dense_sums_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_math.h"
#include "nn_packed.h"

/* Add the products of two channels, whose words are every other one of `weights`. */
static void nn_two_sums(const int32_t *weights, const int8_t *x, int32_t inputs, int32_t *sums)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    uint32_t both = 0;
    int32_t second = 0;
    for (int32_t i = 0; i < inputs; i++) {
        const int32_t in = x[(i & ~3) + order[i & 3]];
        const uint32_t word = (uint32_t)weights[i & ~1];
        const int32_t half = (int16_t)(i & 1 ? word >> 16 : word & 0xFFFFU);
        both += (uint32_t)(half * in);
        second += (int8_t)(half & 0xFF) * in;
    }
    sums[0] = nn_wrapping_add(sums[0], (int32_t)(both - (uint32_t)second) >> 8);
    sums[1] = nn_wrapping_add(sums[1], second);
}

const int32_t *nn_dense_sums_s8(const int32_t *stream, const int8_t *x, int32_t steps,
                                int32_t *sums)
{
    nn_two_sums(stream, x, 2 * steps, sums);
    nn_two_sums(stream + 1, x, 2 * steps, sums + 2);
    return stream + 2 * steps;
}
