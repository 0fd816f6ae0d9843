/* One input vector times all output channels, the last one to three of them by way of a buffer.
 * Rounding: double, in a short form.
 */
#include "nn_packed.h"

void nn_dense_outputs_s8(const nn_dense_t *p, const void *x, int8_t *output)
{
    const int32_t groups = p->output_depth / NN_GROUP;
    const int32_t rest = p->output_depth % NN_GROUP;
    if (groups > 0) {
        nn_dense_s8(p, x, output, groups);
    }
    if (rest > 0) {
        nn_dense_t last = *p;
        int8_t values[NN_GROUP];
        last.stream += groups * (NN_GROUP + 2 * p->steps);
        last.requant += groups * p->requant_bytes / 4;
        nn_dense_s8(&last, x, values, 1);
        for (int32_t i = 0; i < rest; i++) {
            output[NN_GROUP * groups + i] = values[i];
        }
    }
}
