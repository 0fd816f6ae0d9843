/* What nn_pair_columns_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_rows.h"

void nn_pair_columns_s8(uint32_t *x, const int8_t *row, int32_t quarter, const nn_slot_columns_t *p)
{
    for (int32_t column = 0; column < p->count; column++) {
        for (int32_t i = 0; i < NN_QUAD; i++) {
            const int8_t *const in = row + 2 * column + i * quarter;
            x[i] = ((uint32_t)in[0] & 0xFFFFU) | (uint32_t)in[1] << 16;
        }
        x += p->step_bytes / 4;
    }
}
