/* What nn_dense_bytes_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_split.h"
#include "nn_trio.h"

#define GROUP 4 /* channels */

void nn_dense_bytes_s8(const nn_dense_bytes_t *p, const uint8_t *x, int8_t *output, int32_t base)
{
    const int32_t *stream = p->stream;
    const int32_t inputs = 4 * p->steps;
    for (int32_t first = 0; first < p->output_depth; first += GROUP) {
        const uint8_t *const weights = (const uint8_t *)(stream + GROUP);
        const int32_t *split = stream + GROUP + inputs;
        const int32_t count = nn_min(p->output_depth - first, GROUP);
        for (int32_t i = 0; i < count; i++) {
            uint32_t sum = (uint32_t)stream[i] + (uint32_t)base;
            for (int32_t k = 0; k < inputs; k++) {
                sum += (uint32_t)weights[GROUP * k + i] * x[k];
            }
            *output++ =
                nn_split_output((int32_t)sum, (const nn_split_t *)(const void *)split, p->by_sign);
            split += p->by_sign ? 8 : 6;
        }
        stream = split;
    }
}
