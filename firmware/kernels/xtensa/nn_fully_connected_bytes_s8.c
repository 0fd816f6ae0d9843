/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * Inputs and weights are bytes without a sign, 128 more than they are: what that adds to a sum is
 * 128 times the sum of the inputs, which is taken off before it starts, and a constant of the
 * channel. MACs: batches*output_depth*input_depth. Rounding: double, in a short form.
 */
#include "nn_trio.h"

void nn_fully_connected_bytes_s8(const nn_dense_bytes_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch)
{
    uint8_t *const x = (uint8_t *)scratch;
    for (int32_t i = p->input_depth; i < 4 * p->steps; i++) {
        x[i] = 0; /* adds nothing, whatever its weight */
    }
    for (int32_t batch = 0; batch < p->batches; batch++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->input_depth; i++) {
            x[i] = (uint8_t)(*input++ + 128);
            sum += x[i];
        }
        nn_dense_bytes_s8(p, x, output, -128 * sum);
        output += p->output_depth;
    }
}
