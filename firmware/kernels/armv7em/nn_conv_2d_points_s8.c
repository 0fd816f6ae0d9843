/* out[i,o] = clamp(zp + requant_o(bias[o] + sum over c of (in[i,c] - zp_in) * w[o,c]))
 *
 * Four pixels i at a time: their inputs are widened once, then multiplied by all channels.
 * Instructions of four pixels besides the products: 65, and 16 for each four channels.
 * MACs: pixels*out_c*in_c. Rounding: double, in a short form.
 */
#include <stddef.h>

#include "nn_packed.h"

void nn_conv_2d_points_s8(const nn_points_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    const nn_widen_t widen = {.words = p->single.quad.steps / 2};
    const int32_t step = p->single.input_bytes;
    for (int32_t left = p->single.pixels; left >= NN_QUAD; left -= NN_QUAD) {
        const int8_t *const pixels[NN_QUAD] = {input, input + step, input + 2 * step,
                                               input + 3 * step};
        nn_widen_quad_s8(x, pixels, 1, &widen);
        p->products(&p->single.quad, x, output, p->single.output_bytes);
        input += NN_QUAD * step;
        output += NN_QUAD * p->single.output_bytes;
    }
    if (p->left != NULL) {
        p->left(&p->single, input, output, scratch);
    }
}
