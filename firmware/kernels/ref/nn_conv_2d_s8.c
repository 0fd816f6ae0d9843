/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Positions outside the input add nothing: the taps inside are found once a pixel, and those that
 * lie side by side in memory are summed in one run.
 * MACs: n*h*w*out_c*kh*kw*in_c. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

/* The taps of one pixel inside the input, as equal runs of contiguous elements. */
typedef struct {
    const int8_t *input;          /* first element of the first run */
    int32_t weight;               /* its place in the filter */
    int32_t rows, runs;           /* runs in each of the rows */
    int32_t length;               /* elements in a run */
    int32_t input_row, input_run; /* elements from one to the next */
    int32_t weight_row, weight_run;
} nn_taps_t;

/* First tap k with start + k * dilation >= 0. */
static int32_t nn_first_tap(int32_t start, int32_t dilation)
{
    return start >= 0 ? 0 : (dilation - 1 - start) / dilation;
}

/* Number of taps k below `taps` with start + k * dilation < size. */
static int32_t nn_last_tap(int32_t start, int32_t dilation, int32_t size, int32_t taps)
{
    return start >= size ? 0 : nn_min((size - start + dilation - 1) / dilation, taps);
}

static nn_taps_t nn_find_taps(const nn_conv_t *p, const int8_t *image, int32_t y0, int32_t x0)
{
    const nn_window_t *win = &p->window;
    const int32_t depth = p->input.c;
    const int32_t ky = nn_first_tap(y0, win->dilation_h);
    const int32_t kx = nn_first_tap(x0, win->dilation_w);
    const int32_t y = y0 + ky * win->dilation_h;
    const int32_t x = x0 + kx * win->dilation_w;
    nn_taps_t taps = {
        .input = image + (y * p->input.w + x) * depth,
        .weight = (ky * win->kernel_w + kx) * depth,
        .rows = nn_last_tap(y0, win->dilation_h, p->input.h, win->kernel_h) - ky,
        .runs = nn_last_tap(x0, win->dilation_w, p->input.w, win->kernel_w) - kx,
        .length = depth,
        .input_row = win->dilation_h * p->input.w * depth,
        .input_run = win->dilation_w * depth,
        .weight_row = win->kernel_w * depth,
        .weight_run = depth,
    };
    if (win->dilation_w == 1 && taps.runs > 0) { /* a row of taps is one run */
        taps.length = taps.runs * depth;
        taps.runs = 1;
        if (taps.length == taps.input_row && taps.length == taps.weight_row && taps.rows > 0) {
            taps.length *= taps.rows; /* the window is as wide as the input: all rows are one run */
            taps.rows = 1;
        }
    }
    return taps;
}

static int32_t nn_sum_taps(const nn_taps_t *taps, const int8_t *filter, int32_t offset, int32_t acc)
{
    const int8_t *in_row = taps->input;
    const int8_t *w_row = filter + taps->weight;
    for (int32_t row = 0; row < taps->rows; row++) {
        const int8_t *in = in_row;
        const int8_t *w = w_row;
        for (int32_t run = 0; run < taps->runs; run++) {
            acc = nn_dot_s8(acc, in, offset, w, taps->length);
            in += taps->input_run;
            w += taps->weight_run;
        }
        in_row += taps->input_row;
        w_row += taps->weight_row;
    }
    return acc;
}

void nn_conv_2d_s8(const nn_conv_t *p, const int8_t *input, int8_t *output)
{
    const nn_window_t *win = &p->window;
    const int32_t filter_size = win->kernel_h * win->kernel_w * p->input.c;
    for (int32_t n = 0; n < p->output.n; n++) {
        const int8_t *image = input + n * p->input.h * p->input.w * p->input.c;
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                const nn_taps_t taps = nn_find_taps(p, image, y * win->stride_h - win->pad_h,
                                                    x * win->stride_w - win->pad_w);
                const int8_t *filter = p->weights;
                for (int32_t o = 0; o < p->output.c; o++) {
                    const int32_t acc = nn_sum_taps(&taps, filter, p->input_offset, p->bias[o]);
                    *output++ =
                        nn_output_s8(acc, p->requant[o], p->output_offset, p->act_min, p->act_max);
                    filter += filter_size;
                }
            }
        }
    }
}
