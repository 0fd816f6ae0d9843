/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, o / m] - zp_in) * w[ky,kx,o]))
 *
 * m is the depth multiplier. Positions outside the input add nothing.
 * MACs: n*h*w*out_c*kh*kw. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_channel_sum(const nn_conv_t *p, const int8_t *image, int32_t o, int32_t y0,
                              int32_t x0)
{
    const nn_window_t *win = &p->window;
    const int32_t c = o / p->depth_multiplier;
    int32_t acc = 0;
    for (int32_t ky = 0; ky < win->kernel_h; ky++) {
        const int32_t y = y0 + ky * win->dilation_h;
        if (y < 0 || y >= p->input.h) {
            continue;
        }
        for (int32_t kx = 0; kx < win->kernel_w; kx++) {
            const int32_t x = x0 + kx * win->dilation_w;
            if (x < 0 || x >= p->input.w) {
                continue;
            }
            const int32_t value = image[(y * p->input.w + x) * p->input.c + c] + p->input_offset;
            acc = nn_wrapping_add(acc,
                                  value * p->weights[(ky * win->kernel_w + kx) * p->output.c + o]);
        }
    }
    return acc;
}

void nn_depthwise_conv_2d_s8(const nn_conv_t *p, const int8_t *input, int8_t *output)
{
    const nn_window_t *win = &p->window;
    for (int32_t n = 0; n < p->output.n; n++) {
        const int8_t *image = input + n * p->input.h * p->input.w * p->input.c;
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                const int32_t y0 = y * win->stride_h - win->pad_h;
                const int32_t x0 = x * win->stride_w - win->pad_w;
                for (int32_t o = 0; o < p->output.c; o++) {
                    const int32_t sum = nn_channel_sum(p, image, o, y0, x0);
                    *output++ = nn_output_s8(nn_wrapping_add(sum, p->bias[o]), p->requant[o],
                                             p->output_offset, p->act_min, p->act_max);
                }
            }
        }
    }
}
