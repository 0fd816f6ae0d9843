/* What nn_dense_direct_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_dense.h"

void nn_dense_direct_s8(const nn_dense_bytes_t *p, const int8_t *x, int8_t *output, int32_t base)
{
    nn_dense(p, (const uint8_t *)x, 0x80, output, base);
}
