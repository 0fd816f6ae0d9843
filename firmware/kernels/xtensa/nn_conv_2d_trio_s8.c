/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are gathered, borders filled with the zero point, then
 * multiplied by all channels (nn_trio_s8). MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a
 * short form.
 */
#include "nn_math.h"
#include "nn_taps.h"
#include "nn_trio.h"

/* Bytes of one pixel, plus 128. */
static void nn_put_run(uint8_t *x, const int8_t *from, int32_t count)
{
    const int8_t *const end4 = from + (count & ~3);
    const int8_t *const end = from + count;
    for (; from != end4; from += 4, x += 4 * NN_TRIO_PIXELS) {
        x[0 * NN_TRIO_PIXELS] = (uint8_t)(from[0] + 128);
        x[1 * NN_TRIO_PIXELS] = (uint8_t)(from[1] + 128);
        x[2 * NN_TRIO_PIXELS] = (uint8_t)(from[2] + 128);
        x[3 * NN_TRIO_PIXELS] = (uint8_t)(from[3] + 128);
    }
    for (; from != end; from++, x += NN_TRIO_PIXELS) {
        *x = (uint8_t)(*from + 128);
    }
}

/* The window of the pixel at y, x of the output. */
static void nn_put_window(const nn_conv_trio_t *p, uint8_t *to, const int8_t *image, int32_t y,
                          int32_t x)
{
    const nn_window_t *win = &p->window;
    const int32_t depth = p->input.c;
    nn_taps_t taps = nn_window_taps(&p->input, win, depth, y * win->stride_h - win->pad_h,
                                    x * win->stride_w - win->pad_w);
    if (taps.rows < win->kernel_h || taps.runs < win->kernel_w) {
        uint8_t *const end = to + NN_TRIO_PIXELS * win->kernel_h * win->kernel_w * depth;
        for (uint8_t *fill = to; fill != end; fill += NN_TRIO_PIXELS) {
            *fill = (uint8_t)(p->pad_value + 128);
        }
    }
    if (win->dilation_w == 1 && taps.runs > 0) {
        taps.length *= taps.runs; /* a row of taps is one run */
        taps.runs = 1;
    }
    const int8_t *in_row = image + taps.input;
    uint8_t *row_to = to + NN_TRIO_PIXELS * taps.weight;
    for (int32_t row = 0; row < taps.rows; row++) {
        const int8_t *in = in_row;
        uint8_t *run_to = row_to;
        for (int32_t run = 0; run < taps.runs; run++) {
            nn_put_run(run_to, in, taps.length);
            in += taps.input_run;
            run_to += NN_TRIO_PIXELS * taps.weight_run;
        }
        in_row += taps.input_row;
        row_to += NN_TRIO_PIXELS * taps.weight_row;
    }
}

void nn_conv_2d_trio_s8(const nn_conv_trio_t *p, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    uint8_t *const x = (uint8_t *)scratch;
    const int32_t pixels = p->output.h * p->output.w;
    for (int32_t n = 0; n < p->output.n; n++) {
        int32_t row = 0;
        int32_t column = 0;
        for (int32_t pixel = 0; pixel < pixels; pixel += NN_TRIO_PIXELS) {
            int8_t *outputs[NN_TRIO_PIXELS];
            for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
                const int32_t this = nn_min(pixel + i, pixels - 1); /* the last one fills up */
                outputs[i] = output + this * p->output.c;
                nn_put_window(p, x + i, input, row, column);
                if (this < pixels - 1 && ++column == p->output.w) {
                    column = 0;
                    row++;
                }
            }
            nn_trio_s8(&p->trio, x, outputs);
        }
        input += p->input.h * p->input.w * p->input.c;
        output += pixels * p->output.c;
    }
}
