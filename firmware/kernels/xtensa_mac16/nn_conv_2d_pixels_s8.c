/* out[p,o] = clamp(zp + requant_o(bias[o] + sum over c of (in[p,c] - zp_in) * w[o,c]))
 *
 * A convolution of single pixels: some at a time are widened to halfwords, then multiplied by all
 * channels (nn_windows_s8). MACs: pixels*out_c*in_c. Rounding: double, in two products.
 */
#include "nn_mac16.h"
#include "nn_math.h"

void nn_conv_2d_pixels_s8(const nn_conv_pixels_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch)
{
    int16_t *const x = (int16_t *)(void *)scratch;
    const bool whole = p->input_depth % NN_MAC_STEP == 0;
    for (int32_t left = p->images_pixels; left > 0; left -= p->at_once) {
        const int32_t count = nn_min(left, p->at_once);
        nn_columns_t columns = {.inputs = p->input_depth, .columns = count};
        if (whole) { /* all as one */
            columns = (nn_columns_t){.inputs = count * p->input_depth, .columns = 1};
            nn_widen_columns_s8(&columns, input, x);
        } else { /* what is left of a step has weights of 0 */
            columns.step = 2 * NN_MAC_STEP * p->windows.steps;
            nn_offset_columns_s8(&columns, input, x);
        }
        nn_windows_s8(&p->windows, x, output, count);
        input += count * p->input_depth;
        output += count * p->windows.output_step;
    }
}
