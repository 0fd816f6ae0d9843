/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are gathered, borders filled with the zero point, then
 * multiplied by all channels (nn_trio_s8). MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a
 * short form.
 */
#include <string.h>

#include "nn_math.h"
#include "nn_taps.h"
#include "nn_trio.h"

#define SIGNS 0x80808080U /* of four int8; a byte plus 128 is the byte with its sign turned */

/* Inputs of one pixel, plus 128: whole words where they are aligned. */
static void nn_put_run(uint8_t *x, const int8_t *from, int32_t count)
{
    if (((uintptr_t)from & 3U) == 0) {
        for (; count >= 4; count -= 4, from += 4, x += 4 * NN_TRIO_PIXELS) {
            uint32_t four;
            memcpy(&four, __builtin_assume_aligned(from, 4), 4);
            four ^= SIGNS;
            x[0 * NN_TRIO_PIXELS] = (uint8_t)four;
            x[1 * NN_TRIO_PIXELS] = (uint8_t)(four >> 8);
            x[2 * NN_TRIO_PIXELS] = (uint8_t)(four >> 16);
            x[3 * NN_TRIO_PIXELS] = (uint8_t)(four >> 24);
        }
    }
    for (const int8_t *const end = from + count; from != end; from++, x += NN_TRIO_PIXELS) {
        *x = (uint8_t)(*from + 128);
    }
}

/* The taps of a window that has all of them; of others, those inside the input. */
static void nn_put_taps(const nn_taps_t *taps, uint8_t *to, const int8_t *image)
{
    const nn_taps_t t = *taps; /* bytes are stored: nothing behind a pointer stays known */
    const int8_t *in_row = image + t.input;
    uint8_t *row_to = to + NN_TRIO_PIXELS * t.weight;
    for (int32_t row = 0; row < t.rows; row++) {
        const int8_t *in = in_row;
        uint8_t *run_to = row_to;
        for (int32_t run = 0; run < t.runs; run++) {
            nn_put_run(run_to, in, t.length);
            in += t.input_run;
            run_to += NN_TRIO_PIXELS * t.weight_run;
        }
        in_row += t.input_row;
        row_to += NN_TRIO_PIXELS * t.weight_row;
    }
}

static void nn_join_row(const nn_window_t *win, nn_taps_t *taps)
{
    if (win->dilation_w == 1 && taps->runs > 0) {
        taps->length *= taps->runs; /* a row of taps is one run */
        taps->runs = 1;
    }
}

/* A window that begins at y, x, beyond the border of the input. */
static void nn_put_border(const nn_conv_trio_t *p, uint8_t *to, const int8_t *image, int32_t y,
                          int32_t x)
{
    const nn_window_t *win = &p->window;
    const uint8_t outside = (uint8_t)(p->pad_value + 128);
    uint8_t *const end = to + NN_TRIO_PIXELS * win->kernel_h * win->kernel_w * p->input.c;
    for (uint8_t *fill = to; fill != end; fill += NN_TRIO_PIXELS) {
        *fill = outside;
    }
    nn_taps_t taps = nn_window_taps(&p->input, win, p->input.c, y, x);
    nn_join_row(win, &taps);
    nn_put_taps(&taps, to, image);
}

/* Windows of an image, four pixels at a time. */
static void nn_conv_image(const nn_conv_trio_t *p, const int8_t *input, int8_t *output, uint8_t *x)
{
    const nn_window_t win = p->window;
    const int32_t pixels = p->output.h * p->output.w;
    const int32_t width = p->input.w * p->input.c;
    const int32_t last_y = p->input.h - 1 - (win.kernel_h - 1) * win.dilation_h;
    const int32_t last_x = p->input.w - 1 - (win.kernel_w - 1) * win.dilation_w;
    nn_taps_t taps = {.rows = win.kernel_h,
                      .runs = win.kernel_w,
                      .length = p->input.c,
                      .input_row = win.dilation_h * width,
                      .input_run = win.dilation_w * p->input.c,
                      .weight_row = win.kernel_w * p->input.c,
                      .weight_run = p->input.c};
    nn_join_row(&win, &taps);
    int32_t row = -win.pad_h;
    int32_t column = -win.pad_w;
    const int32_t end = p->output.w * win.stride_w - win.pad_w;
    for (int32_t pixel = 0; pixel < pixels; pixel += NN_TRIO_PIXELS) {
        int8_t *outputs[NN_TRIO_PIXELS];
        for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
            const int32_t this = nn_min(pixel + i, pixels - 1); /* the last one fills up */
            outputs[i] = output + this * p->output.c;
            if (row >= 0 && row <= last_y && column >= 0 && column <= last_x) {
                taps.input = row * width + column * p->input.c;
                nn_put_taps(&taps, x + i, input);
            } else {
                nn_put_border(p, x + i, input, row, column);
            }
            if (this < pixels - 1) {
                column += win.stride_w;
                if (column == end) {
                    column = -win.pad_w;
                    row += win.stride_h;
                }
            }
        }
        nn_trio_s8(&p->trio, x, outputs);
    }
}

void nn_conv_2d_trio_s8(const nn_conv_trio_t *p, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    for (int32_t n = 0; n < p->output.n; n++) {
        nn_conv_image(p, input, output, (uint8_t *)scratch);
        input += p->input.h * p->input.w * p->input.c;
        output += p->output.h * p->output.w * p->output.c;
    }
}
