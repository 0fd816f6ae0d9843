/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * Four outputs at a time, each four widen the inputs for themselves: no scratch. Inputs are read
 * eight at a time: of a single vector the last ones may have no weight.
 * MACs: batches*output_depth*input_depth. Rounding: double, in a short form.
 */
#include "nn_packed.h"

void nn_fully_connected_packed_s8(const nn_dense_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t b = 0; b < p->batches; b++) {
        nn_dense_outputs_s8(p, input, output, nn_dense_s8);
        input += p->input_depth;
        output += p->output_depth;
    }
}
