/* What nn_dense_bytes_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_split.h"
#include "nn_trio.h"

#define GROUP 4 /* channels */

void nn_dense_bytes_s8(const nn_dense_bytes_t *p, const uint8_t *x, int8_t *output, int32_t base)
{
    const int32_t *stream = p->stream;
    const uint8_t *exact = (const uint8_t *)p->exact;
    const int32_t inputs = 4 * p->steps;
    for (int32_t first = 0; first < p->output_depth; first += GROUP) {
        const uint8_t *const weights = (const uint8_t *)(stream + GROUP);
        const int32_t count = nn_min(p->output_depth - first, GROUP);
        for (int32_t i = 0; i < count; i++) {
            uint32_t sum = (uint32_t)stream[i] + (uint32_t)base;
            for (int32_t k = 0; k < inputs; k++) {
                sum += (uint32_t)weights[GROUP * k + i] * x[k];
            }
            const nn_exact_t *e = (const nn_exact_t *)(const void *)exact;
            *output++ = nn_exact_output((int32_t)sum, 0, e);
            exact += p->exact_bytes;
        }
        stream += GROUP + inputs;
    }
}
