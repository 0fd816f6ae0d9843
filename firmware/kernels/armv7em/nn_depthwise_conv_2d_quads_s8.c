/* out[n,y,x,c] = clamp(zp + requant_c(bias[c] + sum over ky,kx of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[ky,kx,c]))
 *
 * Any window, four channels at a time; the last four overlap the ones before. Positions outside the
 * input add nothing: the taps inside are found once a pixel.
 * MACs: n*h*w*c*kh*kw. Scratch: none. Rounding: double.
 */
#include <string.h>

#include "nn_math.h"
#include "nn_packed.h"
#include "nn_taps.h"

/* Channels c to c + 3 of one pixel. */
static void nn_depthwise_quad(const nn_conv_t *p, const nn_taps_t *taps, const int8_t *image,
                              int32_t c, int8_t *output)
{
    const uint32_t offset = ((uint32_t)p->input_offset & 0xFFFFU) * 0x10001U;
    int32_t sums[NN_LANES];
    memcpy(sums, p->bias + c, sizeof(sums));
    nn_tap_sums_s8(taps, image + taps->input + c, p->weights + taps->weight + c, offset, sums);
    for (int32_t i = 0; i < NN_LANES; i++) {
        output[c + i] =
            nn_output_s8(sums[i], p->requant[c + i], p->output_offset, p->act_min, p->act_max);
    }
}

void nn_depthwise_conv_2d_quads_s8(const nn_conv_t *p, const int8_t *input, int8_t *output)
{
    const nn_window_t *win = &p->window;
    const int32_t depth = p->output.c;
    for (int32_t n = 0; n < p->output.n; n++) {
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                const nn_taps_t taps = nn_find_taps(p, depth, y * win->stride_h - win->pad_h,
                                                    x * win->stride_w - win->pad_w);
                for (int32_t c = 0; c < depth; c += NN_LANES) {
                    nn_depthwise_quad(p, &taps, input, nn_min(c, depth - NN_LANES), output);
                }
                output += depth;
            }
        }
        input += p->input.h * p->input.w * depth;
    }
}
