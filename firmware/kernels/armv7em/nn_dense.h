/* One input vector times all output channels, with either kernel of nn_dense.S. */
#ifndef NN_DENSE_H
#define NN_DENSE_H

#include "nn_packed.h"

typedef void nn_dense_kernel_t(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups);

static inline void nn_dense_outputs(const nn_dense_t *p, const void *x, int8_t *output,
                                    nn_dense_kernel_t *kernel)
{
    const int32_t groups = p->output_depth / NN_GROUP;
    const int32_t rest = p->output_depth % NN_GROUP;
    if (groups > 0) {
        kernel(p, x, output, groups);
    }
    if (rest > 0) {
        nn_dense_t last = *p;
        int8_t values[NN_GROUP];
        last.stream += groups * (NN_GROUP + 2 * p->steps);
        last.requant += groups * p->requant_bytes / 4;
        kernel(&last, x, values, 1);
        for (int32_t i = 0; i < rest; i++) {
            output[NN_GROUP * groups + i] = values[i];
        }
    }
}

#endif
