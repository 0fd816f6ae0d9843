/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are gathered and widened once, then multiplied by all
 * channels (nn_quad_s8); the one to three pixels that are left one at a time (nn_pixel_s8). Rows of
 * the input are copied to scratch with their borders filled in, so no window meets a border, and a
 * row may be overwritten by the output as soon as it is there. Scratch holds no more rows than four
 * pixels need; where those move on, the rows that they still need move to its front.
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_dsp.h"
#include "nn_packed.h"

/* Rows of one image, padded, or those of the input where none are copied. */
typedef struct {
    const int8_t *base;
    int32_t origin, loaded; /* the row at `base`; the first that is not there */
} nn_rows_t;

/* A pixel of the output, and where its window begins: in bytes from the image's first row. */
typedef struct {
    int32_t x, y, at;
} nn_place_t;

/* Copy words, then what is left: rows are short and seldom a multiple of more than four. */
static void nn_copy_row(int8_t *to, const int8_t *from, int32_t bytes)
{
    const int8_t *const end = from + bytes;
    for (; from + 4 <= end; from += 4, to += 4) {
        memcpy(to, from, 4);
    }
    while (from < end) {
        *to++ = *from++;
    }
}

/* Fill the words of a row that lie between two bytes, or reach beyond them. */
static void nn_fill_words(int8_t *row, int32_t from, int32_t to, int32_t value)
{
    const uint32_t four = (uint32_t)(uint8_t)value * 0x01010101U;
    for (int32_t i = from & ~3; i < to; i += 4) {
        memcpy(row + i, &four, 4);
    }
}

/* Bring the next row of the image to scratch, with its borders. */
static void nn_load_row(const nn_conv_packed_t *p, const int8_t *image, nn_rows_t *rows,
                        int8_t *scratch)
{
    const int32_t y = rows->loaded - p->window.pad_h;
    int8_t *const row = scratch + (rows->loaded - rows->origin) * p->row_bytes;
    const int32_t left = p->window.pad_w * p->input.c;
    const int32_t inside = y >= 0 && y < p->input.h ? p->inside_bytes : 0;
    nn_fill_words(row, 0, left, p->pad_value);
    nn_fill_words(row, left + inside, p->row_bytes, p->pad_value);
    if (inside > 0) {
        nn_copy_row(row + left, image + y * p->input.w * p->input.c, inside);
    }
    rows->loaded++;
}

/* Make the rows from `first` on, as far as they are there, the first in scratch. */
static void nn_move_rows(const nn_conv_packed_t *p, nn_rows_t *rows, int8_t *scratch, int32_t first)
{
    const int32_t kept = rows->loaded - first;
    if (kept > 0) {
        nn_copy_row(scratch, scratch + (first - rows->origin) * p->row_bytes, kept * p->row_bytes);
    } else {
        rows->loaded = first;
    }
    rows->origin = first;
}

/* Where the windows of some pixels begin, from `place` on, which moves on to the next. Their rows
 * are loaded. */
static void nn_find(const nn_conv_packed_t *p, const int8_t *image, nn_rows_t *rows,
                    int8_t *scratch, nn_place_t *place, int32_t pixels, const int8_t **in)
{
    const int32_t reach = (p->window.kernel_h - 1) * p->window.dilation_h + 1;
    const int32_t first = place->y * p->window.stride_h;
    int32_t at[NN_QUAD];
    int32_t last = place->y;
    for (int32_t i = 0; i < pixels; i++) {
        last = place->y;
        at[i] = place->at;
        place->at += p->window.stride_w * p->input.c;
        if (++place->x == p->output.w) {
            place->x = 0;
            place->y++;
            place->at = place->y * p->window.stride_h * p->row_bytes;
        }
    }
    while (p->rows > 0 && rows->loaded < last * p->window.stride_h + reach) {
        if (rows->loaded == rows->origin + p->rows) {
            nn_move_rows(p, rows, scratch, first);
        }
        nn_load_row(p, image, rows, scratch);
    }
    for (int32_t i = 0; i < pixels; i++) {
        in[i] = rows->base + (at[i] - rows->origin * p->row_bytes);
    }
}

/* nn_gather_quad_s8 for one pixel. */
static uint32_t *nn_gather_pixel(uint32_t *x, const int8_t *in, const nn_runs_t *runs)
{
    const int8_t *run = in;
    const int8_t *const end = in + runs->bytes;
    for (; run != end; run += runs->step) {
        for (int32_t i = 0; i < runs->words; i++, run += 4) {
            const uint32_t word = nn_load_word(run);
            *x++ = nn_sxtb16(word);
            *x++ = nn_sxtb16(nn_rotate_right(word, 8));
        }
    }
    if (runs->tail > 0) {
        const int8_t *const tail = in + 4 * runs->words;
        *x++ = ((uint32_t)tail[0] & 0xFFFFU) | (uint32_t)tail[2 * runs->tail] << 16;
        *x++ = (uint32_t)tail[runs->tail];
    }
    return x;
}

static void nn_gather(const nn_conv_packed_t *p, const int8_t **in, int32_t pixels, uint32_t *x)
{
    for (int32_t part = p->parts;;) {
        x = pixels == NN_QUAD ? nn_gather_quad_s8(x, in, &p->runs)
                              : nn_gather_pixel(x, in[0], &p->runs);
        if (--part == 0) {
            break;
        }
        for (int32_t i = 0; i < pixels; i++) {
            in[i] += p->part_bytes;
        }
    }
}

void nn_conv_2d_packed_s8(const nn_conv_packed_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    const int32_t image = p->output.h * p->output.w;
    scratch += (image < NN_QUAD ? 4 : 4 * NN_QUAD) * p->quad.steps;
    for (int32_t n = 0; n < p->output.n; n++) {
        nn_rows_t rows = {.base = p->rows > 0 ? scratch : input};
        nn_place_t place = {0};
        for (int32_t left = image; left > 0;) {
            const int8_t *in[NN_QUAD];
            const int32_t pixels = left >= NN_QUAD ? NN_QUAD : 1;
            nn_find(p, input, &rows, scratch, &place, pixels, in);
            nn_gather(p, in, pixels, x);
            if (pixels == NN_QUAD) {
                nn_channels_s8(&p->quad, x, output, p->output.c);
            } else {
                nn_pixel_s8(&p->quad, x, output);
            }
            output += pixels * p->output.c;
            left -= pixels;
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
