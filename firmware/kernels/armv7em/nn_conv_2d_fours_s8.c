/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time, as nn_conv_2d_packed_s8 computes them, but where they lie is known before
 * (nn_fours.h). What is left at the end of an image, less than four pixels, is computed together
 * with some that are there already. An output row needs 60 instructions besides those of its
 * groups, a row of the input 50 and one for eight bytes, or five for four where rows are no words.
 * MACs: h*w*out_c*kh*kw*in_c. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_fours.h"
#include "nn_math.h"

static void nn_load_line(const nn_fours_t *p, const int8_t *image, int32_t y, int8_t *row)
{
    const int32_t moved = p->moved_bytes;
    if (y < 0 || y >= p->height) {
        memset(row, p->pad_value, (size_t)p->inside_bytes);
        return;
    }
    const int8_t *const from = image + y * p->line_bytes;
    if (moved > 0) {
        nn_move_words_s8((uint32_t *)(void *)row, (const uint32_t *)(const void *)from,
                         (const uint32_t *)(const void *)(from + moved));
    }
    memcpy(row + moved, from + moved, (size_t)(p->inside_bytes - moved));
}

void nn_conv_2d_fours_s8(const nn_fours_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    int8_t *const rows = scratch + p->x_bytes;
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
            const int32_t back = nn_max(NN_QUAD - pixels, 0);
            windows -= back;
            output -= back * p->depth;
            for (int32_t i = 0; i < NN_QUAD; i++) {
                in[i] = rows + *windows++;
            }
            (void)nn_gather_quad_s8(x, in, &p->runs);
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
