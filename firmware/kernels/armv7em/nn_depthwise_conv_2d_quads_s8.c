/* out[n,y,x,c] = clamp(zp + requant_c(bias[c] + sum over ky,kx of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[ky,kx,c]))
 *
 * Any window, four channels at a time; the last four overlap the ones before. Positions outside the
 * input add nothing: the taps inside are found once a pixel.
 * MACs: n*h*w*c*kh*kw. Scratch: none. Rounding: double.
 */
#include "nn_dsp.h"
#include "nn_math.h"
#include "nn_packed.h"
#include "nn_taps.h"

#define LANES 4

/* Channels c to c + 3 of one pixel. */
static void nn_depthwise_quad(const nn_conv_t *p, const nn_taps_t *taps, const int8_t *image,
                              int32_t c, int8_t *output)
{
    const int8_t *in_row = image + taps->input + c;
    const int8_t *w_row = p->weights + taps->weight + c;
    const uint32_t offset = ((uint32_t)p->input_offset & 0xFFFFU) * 0x10001U;
    int32_t sum0 = p->bias[c];
    int32_t sum1 = p->bias[c + 1];
    int32_t sum2 = p->bias[c + 2];
    int32_t sum3 = p->bias[c + 3];
    for (int32_t row = 0; row < taps->rows; row++) {
        const int8_t *in = in_row;
        const int8_t *w = w_row;
        for (int32_t run = taps->runs; run > 0; run--) {
            const uint32_t values = nn_load_word(in);
            const uint32_t weights = nn_load_word(w);
            const uint32_t even = nn_add_even_bytes(offset, values);
            const uint32_t odd = nn_add_odd_bytes(offset, values);
            const uint32_t even_weights = nn_sxtb16(weights);
            const uint32_t odd_weights = nn_sxtb16(nn_rotate_right(weights, 8));
            sum0 = nn_add_low_product(sum0, even, even_weights);
            sum1 = nn_add_low_product(sum1, odd, odd_weights);
            sum2 = nn_add_high_product(sum2, even, even_weights);
            sum3 = nn_add_high_product(sum3, odd, odd_weights);
            in += taps->input_run;
            w += taps->weight_run;
        }
        in_row += taps->input_row;
        w_row += taps->weight_row;
    }
    const int32_t sums[LANES] = {sum0, sum1, sum2, sum3};
    for (int32_t i = 0; i < LANES; i++) {
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
                for (int32_t c = 0; c < depth; c += LANES) {
                    nn_depthwise_quad(p, &taps, input, nn_min(c, depth - LANES), output);
                }
                output += depth;
            }
        }
        input += p->input.h * p->input.w * depth;
    }
}
