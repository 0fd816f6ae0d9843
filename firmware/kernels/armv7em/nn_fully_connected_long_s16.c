/* out[b,o] = clamp(requant_o(bias[o] + sum over i of in[b,i] * w[o,i]))
 *
 * As nn_fully_connected_packed_s16 where sums may leave 32 bits.
 * MACs: batches*output_depth*input_depth. Scratch: none. Rounding: wide, in a long form; sums of 64
 * bits.
 */
#include "nn_wide.h"

void nn_fully_connected_long_s16(const nn_wide_dense_t *p, const int16_t *input, int16_t *output)
{
    for (int32_t b = 0; b < p->batches; b++) {
        nn_pixel_long_s16(&p->quad, (const uint32_t *)(const void *)input, output);
        input += 2 * p->quad.steps;
        output += p->quad.count;
    }
}
