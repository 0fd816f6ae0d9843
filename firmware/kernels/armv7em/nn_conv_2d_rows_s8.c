/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky, x*sw - pw + kx, c] - zp_in) * w[o,ky,kx,c]))
 *
 * The trick: pixel x goes together with x + w/4, x + w/2 and x + 3w/4 of the same output row. Rows
 * widened that way hold the window of four pixels in one piece, for every x: each input is widened
 * once, no window is gathered, borders are filled in beside.
 *
 * Scratch holds, for each column of such a row, kernel_h slots of one row each; row r of column c
 * lies in slot c * kernel_h + r - origin. A new row takes the slot of the next column's oldest row,
 * which no window needs any more, so windows move on by one slot a row and nothing is shifted
 * until the spare slots at the end are used up. Beside the products, four pixels take about 100
 * instructions, and a column of a row about 120 and 17 for each four channels.
 *
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_math.h"
#include "nn_packed.h"

typedef struct {
    uint32_t *slots;
    const int8_t *border;   /* a pixel of the input's zero point */
    int8_t *last;           /* room for the last pixel of the image */
    int32_t origin, loaded; /* rows of the padded image */
} nn_slots_t;

/* Words of one slot: each holds two channels of one of the four pixels. */
static int32_t nn_slot_words(const nn_conv_rows_t *p)
{
    return 2 * NN_QUAD * p->widen.words;
}

/* The next row. Columns between its borders are widened at once: no word of theirs reaches beyond
 * the image. */
static void nn_load_row(const nn_conv_rows_t *p, const int8_t *image, nn_slots_t *s)
{
    const int32_t y = s->loaded - p->window.pad_h;
    const int32_t width = y >= 0 && y < p->input.h ? p->input.w : 0;
    const int8_t *const row = image + y * p->input.w * p->input.c;
    const int32_t end = y == p->input.h - 1 && p->input.c % 4 ? p->input.w - 1 : width;
    uint32_t *to = s->slots + (s->loaded - s->origin) * nn_slot_words(p);
    for (int32_t column = 0, count = 1; column < p->columns; column += count) {
        const int8_t *in[NN_QUAD];
        int32_t x = column - p->window.pad_w;
        count = nn_min(end - (NN_QUAD - 1) * p->quarter - x, p->columns - column);
        count = x >= 0 && count > 1 ? count : 1;
        for (int32_t i = 0; i < NN_QUAD; i++, x += p->quarter) {
            in[i] = x >= 0 && x < width ? row + x * p->input.c : s->border;
            if (x == end && x < width) { /* no word may reach beyond the image */
                memcpy(s->last, in[i], (size_t)p->input.c);
                in[i] = s->last;
            }
        }
        nn_widen_quad_s8(to, in, count, &p->widen);
        to += count * p->window.kernel_h * nn_slot_words(p);
    }
    s->loaded++;
}

/* Make the rows from `first` on start at the first slot again. */
static void nn_move_back(const nn_conv_rows_t *p, nn_slots_t *s, int32_t first)
{
    nn_move_words_s8(s->slots, s->slots + (first - s->origin) * nn_slot_words(p),
                     s->slots + (p->columns * p->window.kernel_h + p->spare) * nn_slot_words(p));
    s->origin = first;
}

static void nn_row(const nn_conv_rows_t *p, const nn_slots_t *s, int32_t first, int8_t *output)
{
    const int32_t quads = p->output.w / NN_QUAD;
    const int32_t step = p->window.stride_w * p->window.kernel_h * nn_slot_words(p);
    const uint32_t *x = s->slots + (first - s->origin) * nn_slot_words(p);
    for (int32_t i = 0; i < quads; i++) {
        nn_channels_s8(&p->quad, x, output, quads * p->output.c);
        x += step;
        output += p->output.c;
    }
}

void nn_conv_2d_rows_s8(const nn_conv_rows_t *p, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    const int32_t slots = p->columns * p->window.kernel_h + p->spare;
    int8_t *const border = scratch + 4 * slots * nn_slot_words(p);
    int8_t *const last = border + 4 * p->widen.words;
    for (int32_t i = 0; i < p->input.c; i++) {
        border[i] = (int8_t)p->pad_value;
    }
    for (int32_t n = 0; n < p->output.n; n++) {
        nn_slots_t s = {.slots = (uint32_t *)(void *)scratch, .border = border, .last = last};
        for (int32_t y = 0; y < p->output.h; y++) {
            const int32_t first = y * p->window.stride_h;
            if (first - s.origin > p->spare) {
                nn_move_back(p, &s, first);
            }
            while (s.loaded < first + p->window.kernel_h) {
                nn_load_row(p, input, &s);
            }
            nn_row(p, &s, first, output);
            output += p->output.w * p->output.c;
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
