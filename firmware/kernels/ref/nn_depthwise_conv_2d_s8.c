/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, o / m] - zp_in) * w[ky,kx,o]))
 *
 * m is the depth multiplier. Positions outside the input add nothing: the taps inside are found
 * once a pixel. MACs: n*h*w*out_c*kh*kw. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_taps.h"

/* `in` and `w` point to the channel's element of the first tap. */
static int32_t nn_channel_sum(const nn_taps_t *taps, const int8_t *in, const int8_t *w,
                              int32_t offset, int32_t acc)
{
    for (int32_t row = 0; row < taps->rows; row++) {
        const int8_t *in_run = in;
        const int8_t *w_run = w;
        for (int32_t run = 0; run < taps->runs; run++) {
            acc = nn_wrapping_add(acc, (*in_run + offset) * *w_run);
            in_run += taps->input_run;
            w_run += taps->weight_run;
        }
        in += taps->input_row;
        w += taps->weight_row;
    }
    return acc;
}

static int8_t *nn_depthwise_pixel(const nn_conv_t *p, const nn_taps_t *taps, const int8_t *input,
                                  int8_t *output)
{
    int32_t o = 0;
    for (int32_t c = 0; c < p->input.c; c++) {
        for (int32_t m = 0; m < p->outputs; m++) {
            const int8_t *w = p->weights + taps->weight + o;
            const int32_t acc =
                nn_channel_sum(taps, input + taps->input + c, w, p->input_offset, p->bias[o]);
            *output++ = nn_output_s8(acc, p->requant[o], p->output_offset, p->act_min, p->act_max);
            o++;
        }
    }
    return output;
}

void nn_depthwise_conv_2d_s8(const nn_conv_t *p, const int8_t *input, int8_t *output)
{
    const nn_window_t *win = &p->window;
    for (int32_t n = 0; n < p->output.n; n++) {
        const int8_t *image = input + n * p->input.h * p->input.w * p->input.c;
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                const nn_taps_t taps = nn_find_taps(p, p->output.c, y * win->stride_h - win->pad_h,
                                                    x * win->stride_w - win->pad_w);
                output = nn_depthwise_pixel(p, &taps, image, output);
            }
        }
    }
}
