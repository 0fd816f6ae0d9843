/* What nn_gates_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_gates.h"

const int32_t *nn_gates_s8(const nn_lstm_packed_t *p, const uint32_t *x, const int32_t *stream,
                           int32_t *gates)
{
    return nn_unit_gates(p, x, stream, gates);
}
