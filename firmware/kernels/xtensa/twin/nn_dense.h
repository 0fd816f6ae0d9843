/* What nn_dense.inc computes, for machines without its instructions. */
#ifndef NN_DENSE_TWIN_H
#define NN_DENSE_TWIN_H

#include "nn_split.h"
#include "nn_trio.h"

#define NN_DENSE_GROUP 4 /* channels */

/* `signs` is turned in every input. */
static inline void nn_dense(const nn_dense_bytes_t *p, const uint8_t *x, uint32_t signs,
                            int8_t *output, int32_t base)
{
    const int32_t *stream = p->stream;
    const uint8_t *exact = (const uint8_t *)p->exact;
    const int32_t inputs = 4 * p->steps;
    for (int32_t first = 0; first < p->output_depth; first += NN_DENSE_GROUP) {
        const uint8_t *const weights = (const uint8_t *)(stream + NN_DENSE_GROUP);
        const int32_t count = nn_min(p->output_depth - first, NN_DENSE_GROUP);
        for (int32_t i = 0; i < count; i++) {
            uint32_t sum = (uint32_t)stream[i] + (uint32_t)base;
            for (int32_t k = 0; k < inputs; k++) {
                sum += weights[NN_DENSE_GROUP * k + i] * (x[k] ^ signs);
            }
            const nn_exact_t *e = (const nn_exact_t *)(const void *)exact;
            *output++ = nn_exact_output((int32_t)sum, 0, e);
            exact += p->exact_bytes;
        }
        stream += NN_DENSE_GROUP + inputs;
    }
}

#endif
