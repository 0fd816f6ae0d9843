/* What nn_widen_columns_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_mac16.h"

void nn_widen_columns_s8(const nn_columns_t *p, const int8_t *from, int16_t *to)
{
    for (int32_t column = 0; column < p->columns; column++) {
        int16_t *out = to;
        for (int32_t i = 0; i < p->inputs; i += 4) {
            out[0] = (int16_t)(from[0] + 128);
            out[1] = (int16_t)(from[2] + 128);
            out[2] = (int16_t)(from[1] + 128);
            out[3] = (int16_t)(from[3] + 128);
            from += 4;
            out += 4;
        }
        to += p->step / 2;
    }
}
