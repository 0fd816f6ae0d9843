/* What nn_offset_columns_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_mac16.h"

void nn_offset_columns_s8(const nn_columns_t *p, const int8_t *from, int16_t *to)
{
    for (int32_t column = 0; column < p->columns; column++) {
        for (int32_t i = 0; i < p->inputs; i++) {
            to[i] = (int16_t)(*from++ + 128);
        }
        to += p->step / 2;
    }
}
