/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * As nn_fully_connected_packed_s8, with weights of 16 bits: also where two do not fit a halfword.
 * No scratch, 0.88 instructions a MAC.
 * MACs: batches*output_depth*input_depth. Rounding: double, in a short form.
 */
#include "nn_dense.h"

void nn_fully_connected_narrow_s8(const nn_dense_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t b = 0; b < p->batches; b++) {
        nn_dense_channels(p, input, output, nn_dense_halves_s8, NN_GROUP + NN_GROUP * p->steps);
        input += p->input_depth;
        output += p->output_depth;
    }
}
