/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * The inputs are widened once, into scratch; then four outputs at a time.
 * MACs: batches*output_depth*input_depth. Rounding: double, in a short form.
 */
#include "nn_dense.h"

void nn_fully_connected_wide_s8(const nn_dense_t *p, const int8_t *input, int8_t *output,
                                int8_t *scratch)
{
    uint32_t *const wide = (uint32_t *)(void *)scratch;
    for (int32_t b = 0; b < p->batches; b++) {
        nn_dense_widen(wide, input, p->input_depth, wide + p->steps);
        nn_dense_outputs_s8(p, wide, output, nn_dense_wide_s8);
        input += p->input_depth;
        output += p->output_depth;
    }
}
