/* Which taps of a convolution's window lie inside the input, found once a pixel. */
#ifndef NN_TAPS_H
#define NN_TAPS_H

#include "nn_math.h"
#include "nn_types.h"

/* The taps of one pixel inside the input, as equal runs of contiguous elements. */
typedef struct {
    int32_t input;                /* first element of the first run, in the image */
    int32_t weight;               /* and in the filter */
    int32_t rows, runs;           /* runs in each of the rows */
    int32_t length;               /* elements in a run */
    int32_t input_row, input_run; /* elements from one to the next */
    int32_t weight_row, weight_run;
} nn_taps_t;

/* First tap k with start + k * dilation >= 0. */
static inline int32_t nn_first_tap(int32_t start, int32_t dilation)
{
    return start >= 0 ? 0 : (dilation - 1 - start) / dilation;
}

/* Number of taps k below `taps` with start + k * dilation < size. */
static inline int32_t nn_last_tap(int32_t start, int32_t dilation, int32_t size, int32_t taps)
{
    return start >= size ? 0 : nn_min((size - start + dilation - 1) / dilation, taps);
}

/* `filter_depth` is the number of weights of one tap: input channels, or output channels when each
 * channel is convolved on its own. */
static inline nn_taps_t nn_window_taps(const nn_shape_t *input, const nn_window_t *win,
                                       int32_t filter_depth, int32_t y0, int32_t x0)
{
    const int32_t depth = input->c;
    const int32_t ky = nn_first_tap(y0, win->dilation_h);
    const int32_t kx = nn_first_tap(x0, win->dilation_w);
    const int32_t y = y0 + ky * win->dilation_h;
    const int32_t x = x0 + kx * win->dilation_w;
    nn_taps_t taps = {
        .input = (y * input->w + x) * depth,
        .weight = (ky * win->kernel_w + kx) * filter_depth,
        .rows = nn_last_tap(y0, win->dilation_h, input->h, win->kernel_h) - ky,
        .runs = nn_last_tap(x0, win->dilation_w, input->w, win->kernel_w) - kx,
        .length = depth,
        .input_row = win->dilation_h * input->w * depth,
        .input_run = win->dilation_w * depth,
        .weight_row = win->kernel_w * filter_depth,
        .weight_run = filter_depth,
    };
    return taps;
}

static inline nn_taps_t nn_find_taps(const nn_conv_t *p, int32_t filter_depth, int32_t y0,
                                     int32_t x0)
{
    return nn_window_taps(&p->input, &p->window, filter_depth, y0, x0);
}

/* Join runs that lie side by side in memory, in the input and in the filter. */
static inline void nn_join_runs(const nn_conv_t *p, nn_taps_t *taps)
{
    if (p->window.dilation_w != 1 || taps->runs <= 0) {
        return;
    }
    taps->length *= taps->runs; /* a row of taps is one run */
    taps->runs = 1;
    if (taps->length == taps->input_row && taps->length == taps->weight_row && taps->rows > 0) {
        taps->length *= taps->rows; /* the window is as wide as the input: all rows are one run */
        taps->rows = 1;
    }
}

#endif
