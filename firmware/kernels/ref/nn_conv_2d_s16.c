/* out[n,y,x,o] = clamp(requant_o(bias[o] + sum over ky,kx,c of
 *                in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] * w[o,ky,kx,c]))
 *
 * Positions outside the input add nothing: the taps inside are found once a pixel, and those that
 * lie side by side in memory are summed in one run.
 * MACs: n*h*w*out_c*kh*kw*in_c. Scratch: none.
 * Rounding: wide (64-bit sums, 15-bit factors) or double, as the bias has 64 or 32 bits.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_taps.h"

/* `in_row` and `w_row` point to the first tap. */
static int64_t nn_sum_taps(const nn_taps_t *taps, const int16_t *in_row, const int8_t *w_row,
                           int64_t acc)
{
    for (int32_t row = 0; row < taps->rows; row++) {
        const int16_t *in = in_row;
        const int8_t *w = w_row;
        for (int32_t run = 0; run < taps->runs; run++) {
            acc = nn_dot_s16(acc, in, w, taps->length);
            in += taps->input_run;
            w += taps->weight_run;
        }
        in_row += taps->input_row;
        w_row += taps->weight_row;
    }
    return acc;
}

void nn_conv_2d_s16(const nn_conv_t *p, const int16_t *input, int16_t *output)
{
    const bool wide = p->bias64 != 0;
    const nn_window_t *win = &p->window;
    const int32_t filter_size = win->kernel_h * win->kernel_w * p->input.c;
    for (int32_t n = 0; n < p->output.n; n++) {
        const int16_t *image = input + n * p->input.h * p->input.w * p->input.c;
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                nn_taps_t taps = nn_find_taps(p, p->input.c, y * win->stride_h - win->pad_h,
                                              x * win->stride_w - win->pad_w);
                nn_join_runs(p, &taps);
                const int16_t *in = image + taps.input;
                const int8_t *filter = p->weights + taps.weight;
                for (int32_t o = 0; o < p->outputs; o++) {
                    const int64_t bias = wide ? p->bias64[o] : p->bias[o];
                    const int64_t acc = nn_sum_taps(&taps, in, filter, bias);
                    output[o] = nn_output_s16(acc, wide, p->requant[o], p->act_min, p->act_max);
                    filter += filter_size;
                }
                output += p->output.c;
            }
        }
    }
}
