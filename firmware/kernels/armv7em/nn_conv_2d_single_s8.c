/* out[i,o] = clamp(zp + requant_o(bias[o] + sum over c of (in[i,c] - zp_in) * w[o,c]))
 *
 * One pixel i at a time: those that nn_conv_2d_points_s8 leaves, or a vector of a fully connected
 * layer that is too small for a kernel of its own.
 * MACs: (pixels % 4)*out_c*in_c. Rounding: double, in a short form.
 */
#include "nn_dsp.h"
#include "nn_packed.h"

void nn_conv_2d_single_s8(const nn_single_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    for (int32_t i = p->pixels & (NN_QUAD - 1); i > 0; i--) {
        (void)nn_widen_steps(x, input, p->quad.steps);
        nn_pixel_s8(&p->quad, x, output);
        input += p->input_bytes;
        output += p->output_bytes;
    }
}
