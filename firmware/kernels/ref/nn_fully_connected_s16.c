/* out[b,o] = clamp(requant_o(bias[o] + sum over i of in[b,i] * w[o,i]))
 *
 * MACs: batches*output_depth*input_depth. Scratch: none.
 * Rounding: wide (64-bit sums, 15-bit factors) or double, as the bias has 64 or 32 bits.
 */
#include "nn_kernels.h"
#include "nn_math.h"

void nn_fully_connected_s16(const nn_fully_connected_t *p, const int16_t *input, int16_t *output)
{
    const bool wide = p->bias64 != 0;
    for (int32_t b = 0; b < p->batches; b++) {
        const int8_t *w = p->weights;
        for (int32_t o = 0; o < p->output_depth; o++) {
            const int64_t bias = wide ? p->bias64[o] : p->bias[o];
            const int64_t acc = nn_dot_s16(bias, input, w, p->input_depth);
            w += p->input_depth;
            *output++ = nn_output_s16(acc, wide, p->requant[o], p->act_min, p->act_max);
        }
        input += p->input_depth;
    }
}
