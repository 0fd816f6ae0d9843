/* One input vector times all output channels. Rounding: double, in a short form. */
#include "nn_dense.h"

void nn_dense_outputs_s8(const nn_dense_t *p, const void *x, int8_t *output)
{
    nn_dense_channels(p, x, output, nn_dense_s8, NN_GROUP + 2 * p->steps);
}
