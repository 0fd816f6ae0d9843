/* What nn_dense_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_dense_group.h"

static int32_t nn_in(const void *x, int32_t i)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    return ((const int8_t *)x)[(i & ~3) + order[i & 3]];
}

void nn_dense_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups)
{
    nn_dense_group(p, nn_in, x, output, groups);
}
