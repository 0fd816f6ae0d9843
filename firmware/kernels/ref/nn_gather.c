/* out[o][r][c][b] = in[o * outer_stride + row_offset[r] + column_offset[c] + b]
 * for every byte b of a run
 *
 * | in  | input  | bytes                                   |
 * | out | output | bytes [outer][rows][columns][run_bytes] |
 * Moves slices that lie irregularly: a gather with constant indices, a nearest-neighbour resize.
 * Scratch: none. Rounding: none.
 */
#include <string.h>

#include "nn_kernels.h"

void nn_gather(const nn_gather_t *p, const void *input, void *output)
{
    const uint8_t *in = input;
    uint8_t *out = output;
    for (int32_t o = 0; o < p->outer; o++) {
        for (int32_t r = 0; r < p->rows; r++) {
            const uint8_t *row = in + o * p->outer_stride + p->row_offset[r];
            for (int32_t c = 0; c < p->columns; c++) {
                memcpy(out, row + p->column_offset[c], (size_t)p->run_bytes);
                out += p->run_bytes;
            }
        }
    }
}
