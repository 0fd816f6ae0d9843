/* out[b,o] = clamp(zp + requant(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * Eight outputs at a time, which widen the inputs for themselves, read as by
 * nn_fully_connected_packed_s8: no scratch. One requantisation for all channels, in registers.
 * MACs: batches*output_depth*input_depth. Rounding: double, in a short form.
 */
#include "nn_packed.h"

void nn_fully_connected_eight_s8(const nn_dense_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t b = 0; b < p->batches; b++) {
        nn_dense_eight_s8(p, input, output, p->output_depth / NN_EIGHT);
        input += p->input_depth;
        output += p->output_depth;
    }
}
