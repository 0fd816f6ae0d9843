/* What nn_from_s16.S computes, for machines without its instructions. Rounding: double. */
#include "nn_sum.h"

void nn_from_s16(const nn_sum_s16_t *p, const int16_t *whole, const int16_t *part, int16_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = nn_sum_output(p, nn_sum_part(p, part[i]) - nn_sum_whole(whole[i]));
    }
}
