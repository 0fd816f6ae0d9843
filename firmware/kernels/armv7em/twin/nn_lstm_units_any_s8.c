/* What nn_lstm_units_any_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_lstm_units.h"

void nn_lstm_units_any_s8(const nn_lstm_packed_t *p, const uint32_t *x, int16_t *cell,
                          int8_t *output)
{
    nn_units(p, x, cell, output);
}
