/* out[b][o][i] = the run of block in[b][o] at sum over k of indices[b][i][k] * stride[k]
 *
 * | in  | input   | bytes [batches][outer][block_bytes]        |
 * | in  | indices | int32 [batches][count][coordinates]        |
 * | out | output  | bytes [batches][outer][count][run_bytes]   |
 * A place before or behind the block becomes its first or last run: nothing outside is read.
 * Scratch: none. Rounding: none.
 */
#include <string.h>

#include "nn_kernels.h"

static int32_t nn_place(const nn_pick_t *p, const int32_t *index)
{
    int64_t place = 0;
    for (int32_t k = 0; k < p->coordinates; k++) {
        place += (int64_t)index[k] * p->stride[k];
    }
    const int32_t last = p->block_bytes - p->run_bytes;
    if (place < 0) {
        return 0;
    }
    return place < last ? (int32_t)place : last;
}

void nn_pick(const nn_pick_t *p, const void *input, const int32_t *indices, void *output)
{
    const uint8_t *block = input;
    uint8_t *out = output;
    for (int32_t b = 0; b < p->batches; b++) {
        const int32_t *own = indices + b * p->count * p->coordinates;
        for (int32_t o = 0; o < p->outer; o++) {
            for (int32_t i = 0; i < p->count; i++) {
                memcpy(out, block + nn_place(p, own + i * p->coordinates), (size_t)p->run_bytes);
                out += p->run_bytes;
            }
            block += p->block_bytes;
        }
    }
}
