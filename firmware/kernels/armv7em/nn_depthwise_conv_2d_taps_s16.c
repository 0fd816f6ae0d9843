/* out[n,y,x,c] = clamp(requant_c(bias[c] + sum over ky,kx of
 *                in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] * w[ky,kx,c]))
 *
 * Any window, four channels at a time; the last four overlap the ones before. Positions outside the
 * input add nothing: the taps inside are found once a pixel.
 * MACs: n*h*w*c*kh*kw. Scratch: none. Rounding: wide, in a short form; sums of 32 bits.
 */
#include "nn_wide.h"

void nn_depthwise_conv_2d_taps_s16(const nn_depthwise_taps_t *p, const int16_t *input,
                                   int16_t *output)
{
    const nn_window_t *win = &p->window;
    for (int32_t n = 0; n < p->output.n; n++) {
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                const nn_taps_t taps =
                    nn_window_taps(&p->input, win, 1, y * win->stride_h - win->pad_h,
                                   x * win->stride_w - win->pad_w);
                nn_depthwise_taps_s16(p, &taps, input + taps.input, output);
                output += p->channels;
            }
        }
        input += p->input.h * p->input.w * p->channels;
    }
}
