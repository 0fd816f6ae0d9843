/* What nn_four_sums_s16.S computes, for machines without its instructions. Rounding: none. */
#include "nn_packed.h"

static int32_t nn_two_products(uint32_t a, uint32_t b)
{
    return (int16_t)(a & 0xFFFFU) * (int16_t)(b & 0xFFFFU) +
           (int16_t)(a >> 16) * (int16_t)(b >> 16);
}

void nn_four_sums_s16(const uint32_t *rows, const uint32_t *columns, int32_t quads, int32_t *sums)
{
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = 0;
        for (int32_t k = 0; k < 2 * quads; k++) {
            sums[i] += nn_two_products(rows[2 * k + (i & 1)], columns[2 * k + (i >> 1)]);
        }
    }
}
