/* What nn_dense_bytes_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_dense.h"

void nn_dense_bytes_s8(const nn_dense_bytes_t *p, const uint8_t *x, int8_t *output, int32_t base)
{
    nn_dense(p, x, 0, output, base);
}
