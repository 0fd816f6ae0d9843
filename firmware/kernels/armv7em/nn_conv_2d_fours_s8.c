/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are widened once, then multiplied by all channels. Rows of
 * the input are copied to scratch with their borders filled in, so no window meets a border, and a
 * row may be overwritten by the output as soon as it is there. A table tells where in scratch the
 * windows are (nn_fours.h), so four pixels take 115 instructions besides the products and their
 * columns in nn_widen_quad_s8.
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_fours.h"
#include "nn_math.h"

static uint32_t nn_halves(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16;
}

/* Row y of the image; one above, whose number is a very large one, or below it has no pixels. */
static void nn_load_line(const nn_fours_t *p, const int8_t *image, int32_t y, int8_t *row)
{
    if ((uint32_t)y >= (uint32_t)p->height) {
        memset(row, p->pad_value, (size_t)p->inside_bytes);
        return;
    }
    const int8_t *const from = image + y * p->line_bytes;
    if (p->moved_bytes > 0) {
        nn_move_words_s8((uint32_t *)(void *)row, (const uint32_t *)(const void *)from,
                         (const uint32_t *)(const void *)(from + p->moved_bytes));
    }
    memcpy(row + p->moved_bytes, from + p->moved_bytes, (size_t)p->other_bytes);
}

void nn_conv_2d_fours_s8(const nn_fours_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    int8_t *const rows = scratch + p->x_bytes;
    uint32_t *const tail = (uint32_t *)(void *)rows - 2 * NN_QUAD;
    int8_t *const end = rows + p->rows_bytes;
    int8_t *row = rows;
    int32_t y = -p->pad_h;
    memset(rows, p->pad_value, (size_t)p->rows_bytes);
    for (int32_t left = p->pixels; left > 0;) {
        for (; row < end; row += p->row_bytes) {
            nn_load_line(p, input, y++, row + p->left_bytes);
        }
        const uint16_t *windows = p->windows;
        int32_t pixels = nn_min(left, p->band_pixels);
        left -= pixels;
        do {
            const int8_t *in[NN_QUAD];
            if (pixels < NN_QUAD) { /* some that are there already are computed again */
                windows += pixels - NN_QUAD;
                output += (pixels - NN_QUAD) * p->depth;
            }
            for (int32_t i = 0; i < NN_QUAD; i++) {
                const int8_t *const window = rows + *windows++;
                const int8_t *const last = window + p->tail_at;
                in[i] = window;
                tail[i] = nn_halves(last[0], last[2 * p->tail_bytes]);
                tail[i + NN_QUAD] = (uint32_t)last[p->tail_bytes];
            }
            nn_widen_quad_s8(x, in, p->window_rows, &p->widen);
            p->products(&p->quad, x, output, p->depth);
            output += NN_QUAD * p->depth;
            pixels -= NN_QUAD;
        } while (pixels > 0);
        nn_move_words_s8((uint32_t *)(void *)rows,
                         (const uint32_t *)(const void *)(rows + p->done_bytes),
                         (const uint32_t *)(const void *)end);
        row = end - p->done_bytes;
    }
}
