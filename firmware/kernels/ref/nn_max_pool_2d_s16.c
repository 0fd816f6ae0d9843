/* out[n,y,x,c] = clamp(maximum of the part of the window that lies inside the input)
 *
 * Input and output share scale and zero point. Scratch: none. Rounding: none.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_window_max(const nn_pool_t *p, const int16_t *image, int32_t y0, int32_t x0,
                             int32_t c)
{
    const int32_t y_end = nn_min(y0 + p->window.kernel_h, p->input.h);
    const int32_t x_end = nn_min(x0 + p->window.kernel_w, p->input.w);
    int32_t largest = INT16_MIN;
    for (int32_t y = nn_max(y0, 0); y < y_end; y++) {
        for (int32_t x = nn_max(x0, 0); x < x_end; x++) {
            largest = nn_max(largest, image[(y * p->input.w + x) * p->input.c + c]);
        }
    }
    return largest;
}

void nn_max_pool_2d_s16(const nn_pool_t *p, const int16_t *input, int16_t *output)
{
    for (int32_t n = 0; n < p->output.n; n++) {
        const int16_t *image = input + n * p->input.h * p->input.w * p->input.c;
        for (int32_t y = 0; y < p->output.h; y++) {
            const int32_t y0 = y * p->window.stride_h - p->window.pad_h;
            for (int32_t x = 0; x < p->output.w; x++) {
                const int32_t x0 = x * p->window.stride_w - p->window.pad_w;
                for (int32_t c = 0; c < p->output.c; c++) {
                    const int32_t largest = nn_window_max(p, image, y0, x0, c);
                    *output++ = (int16_t)nn_min(nn_max(largest, p->act_min), p->act_max);
                }
            }
        }
    }
}
