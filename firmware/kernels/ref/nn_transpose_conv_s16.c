/* out[n,y,x,o] = clamp(requant_o(bias[o] + sum over ky,kx,c of
 *                in[n, (y + ph - ky) / sh, (x + pw - kx) / sw, c] * w[o,ky,kx,c]))
 *
 * Only taps whose two divisions leave no rest and whose input exists add something.
 * Window: over the output, dilation 1. MACs: n*in_h*in_w*in_c*kh*kw*out_c at most. Scratch: none.
 * Rounding: wide (64-bit sums, 15-bit factors).
 */
#include "nn_kernels.h"
#include "nn_math.h"

/* The taps of one output along one axis: first, first + stride, ... below `end`; the input position
 * of the first is `start`, each further one lies one before. */
typedef struct {
    int32_t first, end, start;
} nn_steps_t;

static nn_steps_t nn_find_steps(int32_t position, int32_t stride, int32_t kernel, int32_t size)
{
    int32_t first = position % stride;
    int32_t start = position / stride;
    if (start >= size) {
        first += (start - size + 1) * stride;
        start = size - 1;
    }
    return (nn_steps_t){.first = first, .end = nn_min(kernel, position + 1), .start = start};
}

void nn_transpose_conv_s16(const nn_conv_t *p, const int16_t *input, int16_t *output)
{
    const nn_window_t *win = &p->window;
    const int32_t depth = p->input.c;
    const int32_t row = p->input.w * depth;
    const int32_t filter_size = win->kernel_h * win->kernel_w * depth;
    for (int32_t n = 0; n < p->output.n; n++) {
        for (int32_t y = 0; y < p->output.h; y++) {
            const nn_steps_t ys =
                nn_find_steps(y + win->pad_h, win->stride_h, win->kernel_h, p->input.h);
            for (int32_t x = 0; x < p->output.w; x++) {
                const nn_steps_t xs =
                    nn_find_steps(x + win->pad_w, win->stride_w, win->kernel_w, p->input.w);
                const int8_t *filter = p->weights;
                for (int32_t o = 0; o < p->output.c; o++) {
                    int64_t acc = p->bias64[o];
                    int32_t at_row = ys.start * row + xs.start * depth;
                    for (int32_t ky = ys.first; ky < ys.end; ky += win->stride_h) {
                        int32_t at = at_row;
                        const int8_t *taps = filter + ky * win->kernel_w * depth;
                        for (int32_t kx = xs.first; kx < xs.end; kx += win->stride_w) {
                            acc = nn_dot_s16(acc, input + at, taps + kx * depth, depth);
                            at -= depth;
                        }
                        at_row -= row;
                    }
                    *output++ = nn_output_s16(acc, true, p->requant[o], p->act_min, p->act_max);
                    filter += filter_size;
                }
            }
        }
        input += p->input.h * row;
    }
}
