/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * MACs: batches*output_depth*input_depth. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

void nn_fully_connected_s8(const nn_fully_connected_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t b = 0; b < p->batches; b++) {
        const int8_t *w = p->weights;
        for (int32_t o = 0; o < p->output_depth; o++) {
            const int32_t acc = nn_dot_s8(p->bias[o], input, p->input_offset, w, p->input_depth);
            w += p->input_depth;
            *output++ = nn_output_s8(acc, p->requant[o], p->output_offset, p->act_min, p->act_max);
        }
        input += p->input_depth;
    }
}
