/* One input vector times all output channels, the last one to three by way of a buffer. Rounding:
 * double, in a short form.
 */
#include <string.h>

#include "nn_packed.h"

void nn_dense_outputs_s8(const nn_dense_t *p, const void *x, int8_t *output,
                         nn_dense_kernel_t *kernel)
{
    const int32_t groups = (int32_t)((uint32_t)p->output_depth / NN_GROUP);
    const uint32_t rest = (uint32_t)p->output_depth % NN_GROUP;
    if (groups > 0) {
        kernel(p, x, output, groups);
    }
    if (rest > 0) {
        nn_dense_t last; /* as much of it as a kernel reads for one group */
        last.stream = p->stream + groups * (NN_GROUP + 2 * p->steps);
        last.requant = p->requant + groups * (p->requant_bytes >> 2);
        last.requant_bytes = 0;
        last.steps = p->steps;
        int8_t values[NN_GROUP];
        kernel(&last, x, values, 1);
        memcpy(output + NN_GROUP * groups, values, rest);
    }
}
