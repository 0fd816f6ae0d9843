/* A convolution of four pixels at a time, as kernels of int8 and of int16 share it: where windows
 * begin, and rows of the input in scratch. What is done with a window, nn_compute says, which the
 * kernel's file defines. All sizes are bytes here: input.c and output.c, too, are those of a pixel.
 */
#ifndef NN_QUADS_H
#define NN_QUADS_H

#include <string.h>

#include "nn_dsp.h"
#include "nn_packed.h"

/* All channels of one or NN_QUAD pixels, whose windows begin at `in`; x: room for the windows. */
static void nn_compute(const nn_conv_packed_t *p, const int8_t *const *in, int32_t pixels,
                       uint32_t *x, int8_t *output);

/* Rows of one image, padded, or those of the input where none are copied. */
typedef struct {
    const int8_t *base;
    int32_t origin, loaded; /* the row at `base`; the first that is not there */
} nn_rows_t;

/* A pixel of the output, and where its window begins: in bytes from the image's first row. */
typedef struct {
    int32_t x, y, at;
} nn_place_t;

/* Copy four words at a time, then words, then what is left. */
static void nn_copy_row(int8_t *to, const int8_t *from, int32_t bytes)
{
    const int8_t *const end = from + bytes;
    for (; from + 16 <= end; from += 16, to += 16) {
        const uint32_t words[4] = {nn_load_word(from), nn_load_word(from + 4),
                                   nn_load_word(from + 8), nn_load_word(from + 12)};
        memcpy(to, words, 4);
        memcpy(to + 4, words + 1, 4);
        memcpy(to + 8, words + 2, 4);
        memcpy(to + 12, words + 3, 4);
    }
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
    const int32_t y = rows->loaded - p->size.pad_h;
    int8_t *const row = scratch + (rows->loaded - rows->origin) * p->row_bytes;
    const int32_t left = p->size.pad_w * p->size.depth;
    const int32_t inside = y >= 0 && y < p->size.height ? p->inside_bytes : 0;
    nn_fill_words(row, 0, left, p->size.pad_value);
    nn_fill_words(row, left + inside, p->row_bytes, p->size.pad_value);
    if (inside > 0) {
        nn_copy_row(row + left, image + y * p->size.width * p->size.depth, inside);
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

/* Load the rows that the windows of some pixels reach, the first of them at `place`. */
static void nn_load_rows(const nn_conv_packed_t *p, const int8_t *image, nn_rows_t *rows,
                         int8_t *scratch, const nn_place_t *place, int32_t pixels)
{
    const int32_t x = place->x + pixels - 1;
    const int32_t y = place->y + (x < p->size.out_width ? 0 : x / p->size.out_width);
    while (rows->loaded < y * p->size.stride_h + p->size.reach) {
        if (rows->loaded == rows->origin + p->rows) {
            nn_move_rows(p, rows, scratch, place->y * p->size.stride_h);
        }
        nn_load_row(p, image, rows, scratch);
    }
}

/* Where the windows of some pixels begin, from `place` on, which moves on to the next pixel. */
static void nn_find(const nn_conv_packed_t *p, const nn_rows_t *rows, nn_place_t *place,
                    int32_t pixels, const int8_t **in)
{
    const int8_t *const base = rows->base - rows->origin * p->row_bytes;
    const int32_t step = p->size.stride_w * p->size.depth;
    nn_place_t next = *place;
    for (int32_t i = 0; i < pixels; i++) {
        in[i] = base + next.at;
        next.at += step;
        if (++next.x == p->size.out_width) {
            next.x = 0;
            next.y++;
            next.at = next.y * p->size.stride_h * p->row_bytes;
        }
    }
    *place = next;
}

/* Bring the runs of a window side by side, without widening them. */
static inline uint32_t *nn_gather_words(uint32_t *x, const int8_t *run, const nn_runs_t *runs)
{
    const int8_t *const end = run + runs->bytes;
    for (; run != end; run += runs->step) {
        for (int32_t i = 0; i < runs->words; i++, run += 4) {
            *x++ = nn_load_word(run);
        }
    }
    return x;
}

/* One image. */
static void nn_image(const nn_conv_packed_t *p, const int8_t *input, int8_t *output, uint32_t *x,
                     int8_t *scratch)
{
    nn_rows_t rows = {.base = p->rows > 0 ? scratch : input};
    nn_place_t place = {0};
    for (int32_t left = p->size.out_height * p->size.out_width; left > 0;) {
        const int8_t *in[NN_QUAD];
        const int32_t pixels = left >= NN_QUAD ? NN_QUAD : 1;
        const int32_t step = pixels * p->size.stride_w * p->size.depth;
        if (p->rows > 0) {
            nn_load_rows(p, input, &rows, scratch, &place, pixels);
        }
        nn_find(p, &rows, &place, pixels, in);
        for (;;) {
            nn_compute(p, in, pixels, x, output);
            output += pixels * p->size.out_depth;
            left -= pixels;
            if (left < pixels || place.x < pixels || place.x + pixels >= p->size.out_width) {
                break;
            }
            for (int32_t i = 0; i < pixels; i++) { /* in the same row */
                in[i] += step;
            }
            place.x += pixels;
            place.at += step;
        }
    }
}

static void nn_images(const nn_conv_packed_t *p, const int8_t *input, int8_t *output,
                      int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    const int32_t pixels = p->size.out_height * p->size.out_width;
    scratch += (pixels < NN_QUAD ? 4 : 4 * NN_QUAD) * p->quad.steps;
    for (int32_t n = 0; n < p->size.images; n++) {
        nn_image(p, input, output, x, scratch);
        input += p->size.height * p->size.width * p->size.depth;
        output += pixels * p->size.out_depth;
    }
}

#endif
