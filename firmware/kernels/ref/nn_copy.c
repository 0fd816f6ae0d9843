/* out[sum of i_k * output_stride_k + b] = in[sum of i_k * input_stride_k + b]
 * for every index (i_0 .. i_5) and every byte b of a run
 *
 * Moves elements of any type: a transpose, slice, concatenation, padding or reversal is one or more
 * of these. Offsets and strides are in bytes; strides may be 0 or negative. Input and output do not
 * overlap. Scratch: none. Rounding: none.
 */
#include <string.h>

#include "nn_kernels.h"

void nn_copy(const nn_copy_t *p, const void *input, void *output)
{
    const uint8_t *in = input;
    uint8_t *out = output;
    int32_t from = p->input_offset;
    int32_t to = p->output_offset;
    int32_t at[NN_COPY_AXES] = {0};
    int32_t axis;
    do {
        memcpy(out + to, in + from, (size_t)p->run_bytes);
        axis = NN_COPY_AXES - 1;
        while (axis >= 0) {
            from += p->input_stride[axis];
            to += p->output_stride[axis];
            if (++at[axis] < p->count[axis]) {
                break;
            }
            from -= p->count[axis] * p->input_stride[axis];
            to -= p->count[axis] * p->output_stride[axis];
            at[axis--] = 0;
        }
    } while (axis >= 0);
}
