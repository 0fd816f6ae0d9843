/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky, x*sw - pw + kx, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Scratch holds, for each column that windows of a row reach, slots of halfwords, one for each row
 * of the window; row r of a column lies in slot r - origin. So a window is one piece of memory, and
 * its weights are in that order: each input is widened once, no window is gathered, borders are
 * filled in beside. A new row takes the slot of the next column's oldest row, which no window needs
 * any more, so windows move on by a slot a row and nothing is shifted until the spare slots at the
 * end are used up. Where a slot has an odd number of halfwords windows would not begin with a whole
 * word then: `again` has all rows loaded for each row of outputs.
 *
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in two products.
 */
#include "nn_mac16.h"

typedef struct {
    int16_t *slots;
    int32_t origin, loaded; /* rows of the padded image */
} nn_rows_t;

/* `count` columns of one value; returns what is behind them. */
static int16_t *nn_fill_columns(const nn_conv_columns_t *p, int16_t *to, int32_t count)
{
    for (; count > 0; count--) {
        for (int32_t i = 0; i < p->input.c; i++) {
            to[i] = (int16_t)(p->pad_value + 128);
        }
        to += p->inside.step / 2;
    }
    return to;
}

static void nn_load_row(const nn_conv_columns_t *p, const int8_t *image, nn_rows_t *rows)
{
    const int32_t y = rows->loaded - p->window.pad_h;
    int16_t *to = rows->slots + (rows->loaded - rows->origin) * p->input.c;
    rows->loaded++;
    if (y < 0 || y >= p->input.h) {
        (void)nn_fill_columns(p, to, p->columns);
        return;
    }
    to = nn_fill_columns(p, to, p->window.pad_w);
    const int8_t *const from = image + y * p->input.w * p->input.c;
    if (p->input.c % NN_MAC_STEP == 0) {
        nn_widen_columns_s8(&p->inside, from, to);
    } else {
        nn_offset_columns_s8(&p->inside, from, to);
    }
    to += p->inside.columns * p->inside.step / 2;
    (void)nn_fill_columns(p, to, p->columns - p->window.pad_w - p->inside.columns);
}

/* Make the rows from `first` on start at the first slot again. */
static void nn_move_back(const nn_conv_columns_t *p, nn_rows_t *rows, int32_t first)
{
    uint32_t *to = (uint32_t *)(void *)rows->slots;
    const uint32_t *from = to + (first - rows->origin) * p->input.c / 2;
    const int32_t used =
        (p->columns - 1) * (p->inside.step / 2) + (rows->loaded - first) * p->input.c;
    for (int32_t left = used; left > 0; left -= 4) {
        to[0] = from[0];
        to[1] = from[1];
        to += 2;
        from += 2;
    }
    rows->origin = first;
}

/* Whatever rows the windows of `first` reach, from there on. */
static void nn_load_rows(const nn_conv_columns_t *p, const int8_t *image, nn_rows_t *rows,
                         int32_t first)
{
    if (p->again || rows->loaded <= first) {
        rows->origin = rows->loaded = first;
    } else if (first - rows->origin > p->spare) {
        nn_move_back(p, rows, first);
    }
    while (rows->loaded < first + p->window.kernel_h) {
        nn_load_row(p, image, rows);
    }
}

void nn_conv_2d_columns_s8(const nn_conv_columns_t *p, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    for (int32_t n = 0; n < p->output.n; n++) {
        nn_rows_t rows = {.slots = (int16_t *)(void *)scratch};
        for (int32_t y = 0; y < p->output.h; y++) {
            const int32_t first = y * p->window.stride_h;
            nn_load_rows(p, input, &rows, first);
            nn_windows_s8(&p->windows, rows.slots + (first - rows.origin) * p->input.c, output,
                          p->output.w);
            output += p->output.w * p->windows.output_step;
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
