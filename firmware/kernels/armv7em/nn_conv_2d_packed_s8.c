/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are gathered and widened once, then multiplied by all
 * channels (nn_quad_s8); the one to three pixels that are left one at a time (nn_pixel_s8). Rows of
 * the input are kept in a ring with their borders filled in, so no
 * window meets a border, and a row may be overwritten by the output as soon as it is in the ring.
 * Beside the products, four pixels take about 100 instructions, 100 more for each run and 17 for
 * each four inputs; runs that are no multiple of four bytes are copied first.
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_dsp.h"
#include "nn_packed.h"

/* Rows of one image, padded: row r lies at base + (r % count) * bytes. */
typedef struct {
    int8_t *ring;
    const int8_t *base;
    int32_t count, bytes, loaded;
    int32_t end; /* of the ring in bytes: what lies there is at 0 again */
} nn_rows_t;

/* Where a row of the windows of some pixels begins, in bytes from the rows' base. */
typedef struct {
    int32_t at[NN_QUAD];
    int32_t pixels; /* 4 or 1 */
} nn_starts_t;

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

/* Bring the next row of the image into the ring, with its borders. */
static void nn_load_row(const nn_conv_packed_t *p, const int8_t *image, nn_rows_t *rows)
{
    const int32_t y = rows->loaded - p->window.pad_h;
    int8_t *const row = rows->ring + (rows->loaded % rows->count) * rows->bytes;
    const int32_t left = p->window.pad_w * p->input.c;
    const int32_t inside = y >= 0 && y < p->input.h ? p->inside_bytes : 0;
    nn_fill_words(row, 0, left, p->pad_value);
    nn_fill_words(row, left + inside, rows->bytes, p->pad_value);
    if (inside > 0) {
        nn_copy_row(row + left, image + y * p->input.w * p->input.c, inside);
    }
    rows->loaded++;
}

/* Copy whole words: up to three bytes too many, which the next run or the padding covers. */
static void nn_copy_run(int8_t *to, const int8_t *from, int32_t bytes)
{
    for (int32_t i = 0; i < bytes; i += 4) {
        memcpy(to + i, from + i, 4);
    }
}

static nn_starts_t nn_find_starts(const nn_conv_packed_t *p, const nn_rows_t *rows, int32_t pixel,
                                  int32_t pixels)
{
    nn_starts_t starts = {.pixels = pixels};
    for (int32_t i = 0; i < pixels; i++, pixel++) {
        const int32_t y = pixel / p->output.w;
        const int32_t column = (pixel - y * p->output.w) * p->window.stride_w * p->input.c;
        starts.at[i] = y * p->window.stride_h % rows->count * rows->bytes + column;
    }
    return starts;
}

static int32_t nn_next_row(const nn_conv_packed_t *p, const nn_rows_t *rows, int32_t at)
{
    at += p->window.dilation_h * rows->bytes;
    return at < rows->end ? at : at - rows->end;
}

/* Append `words` times four inputs of each pixel. */
static uint32_t *nn_widen(uint32_t *x, const int8_t *const *in, int32_t words, int32_t pixels)
{
    if (pixels == NN_QUAD) {
        return nn_widen_quad_s8(x, in, words);
    }
    for (int32_t i = 0; i < words; i++) {
        const uint32_t word = nn_load_word(in[0] + 4 * i);
        *x++ = nn_sxtb16(word);
        *x++ = nn_sxtb16(nn_rotate_right(word, 8));
    }
    return x;
}

/* Widen the windows run by run: each is a multiple of four inputs. */
static void nn_gather_runs(const nn_conv_packed_t *p, const nn_rows_t *rows, nn_starts_t starts,
                           uint32_t *x)
{
    for (int32_t ky = 0; ky < p->window.kernel_h; ky++) {
        const int8_t *in[NN_QUAD];
        for (int32_t i = 0; i < starts.pixels; i++) {
            in[i] = rows->base + starts.at[i];
            starts.at[i] = nn_next_row(p, rows, starts.at[i]);
        }
        for (int32_t run = p->runs;;) {
            x = nn_widen(x, in, p->run_bytes / 4, starts.pixels);
            if (--run == 0) {
                break;
            }
            for (int32_t i = 0; i < starts.pixels; i++) {
                in[i] += p->window.dilation_w * p->input.c;
            }
        }
    }
}

/* Put runs of any length together in `joined`, then widen the windows in one piece. */
static void nn_gather_joined(const nn_conv_packed_t *p, const nn_rows_t *rows, nn_starts_t starts,
                             int8_t *joined, uint32_t *x)
{
    const int8_t *windows[NN_QUAD];
    for (int32_t i = 0; i < starts.pixels; i++) {
        int32_t at = starts.at[i];
        windows[i] = joined;
        for (int32_t ky = 0; ky < p->window.kernel_h; ky++) {
            const int8_t *in = rows->base + at;
            for (int32_t run = 0; run < p->runs; run++) {
                nn_copy_run(joined, in, p->run_bytes);
                joined += p->run_bytes;
                in += p->window.dilation_w * p->input.c;
            }
            at = nn_next_row(p, rows, at);
        }
        joined += 4;
    }
    (void)nn_widen(x, windows, p->quad.steps / 2, starts.pixels);
}

void nn_conv_2d_packed_s8(const nn_conv_packed_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    const int32_t image = p->output.h * p->output.w;
    int8_t *const ring = scratch + (image < NN_QUAD ? 4 : 4 * NN_QUAD) * p->quad.steps;
    int8_t *const joined = ring + p->ring_rows * p->row_bytes + 4;
    const int32_t reach = (p->window.kernel_h - 1) * p->window.dilation_h + 1;
    for (int32_t n = 0; n < p->output.n; n++) {
        nn_rows_t rows = {.ring = ring,
                          .base = p->ring_rows > 0 ? ring : input,
                          .count = p->ring_rows > 0 ? p->ring_rows : INT32_MAX,
                          .bytes = p->row_bytes,
                          .end = p->ring_rows > 0 ? p->ring_rows * p->row_bytes : INT32_MAX};
        for (int32_t pixel = 0; pixel < image;) {
            const int32_t pixels = image - pixel >= NN_QUAD ? NN_QUAD : 1;
            const int32_t last = (pixel + pixels - 1) / p->output.w;
            while (p->ring_rows > 0 && rows.loaded < last * p->window.stride_h + reach) {
                nn_load_row(p, input, &rows);
            }
            const nn_starts_t starts = nn_find_starts(p, &rows, pixel, pixels);
            if (p->run_bytes % 4 == 0) {
                nn_gather_runs(p, &rows, starts, x);
            } else {
                nn_gather_joined(p, &rows, starts, joined, x);
            }
            if (pixels == NN_QUAD) {
                nn_channels_s8(&p->quad, x, output, p->output.c);
            } else {
                nn_pixel_s8(&p->quad, x, output);
            }
            output += pixels * p->output.c;
            pixel += pixels;
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
