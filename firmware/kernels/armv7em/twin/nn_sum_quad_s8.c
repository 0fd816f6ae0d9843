/* What nn_sum_quad_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_packed.h"

void nn_sum_quad_s8(const nn_places_t *places, const int8_t *in, int32_t *sums)
{
    for (int32_t row = 0; row < places->rows; row++) {
        for (int32_t place = 0; place < places->run; place++) {
            for (int32_t i = 0; i < 4; i++) {
                sums[i] += in[place * places->stride + i];
            }
        }
        in += places->row;
    }
}
