/* What nn_offset_columns_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_mac16.h"

void nn_offset_columns_s8(const int8_t *from, int16_t *to, int32_t inputs, int32_t columns,
                          int32_t step)
{
    for (int32_t column = 0; column < columns; column++) {
        for (int32_t i = 0; i < inputs; i++) {
            to[i] = (int16_t)(*from++ + 128);
        }
        to += step / 2;
    }
}
