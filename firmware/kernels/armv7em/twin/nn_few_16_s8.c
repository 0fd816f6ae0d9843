/* What nn_few_16_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_few.h"

void nn_few_16_s8(const nn_few_t *p, const int8_t *input, int8_t *output)
{
    nn_few_outputs(p, input, output, 16);
}
