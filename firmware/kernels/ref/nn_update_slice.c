/* out = in, but part[i_0][i_1]... at [f_0 + i_0][f_1 + i_1]..., f_k = place[k] kept in 0 .. room_k
 *
 * | in  | input  | bytes                 |
 * | in  | part   | bytes                 |
 * | in  | place  | int32 or int64 [axes] |
 * | out | output | bytes, as the input   |
 * Scratch: none. Rounding: none.
 */
#include <string.h>

#include "nn_kernels.h"

void nn_update_slice(const nn_update_slice_t *p, const void *input, const void *part,
                     const void *place, void *output)
{
    nn_copy_t moved = p->part;
    for (int32_t k = 0; k < p->axes; k++) {
        const int64_t asked =
            p->place == NN_S64 ? ((const int64_t *)place)[k] : ((const int32_t *)place)[k];
        const int64_t first = asked < 0 ? 0 : asked < p->room[k] ? asked : p->room[k];
        moved.output_offset += (int32_t)first * p->stride[k];
    }
    memcpy(output, input, (size_t)p->bytes);
    nn_copy(&moved, part, output);
}
