/* Convolutions whose groups of four pixels always lie at the same places.
 *
 * A band is one, two or four rows of the output, so that its pixels are groups of four. Scratch
 * holds the rows of the input that the band's windows reach, with their borders filled in, so a
 * table tells where each window begins, and is the same for all bands.
 */
#ifndef NN_FOURS_H
#define NN_FOURS_H

#include "nn_packed.h"

/* One image. Bytes, if nothing else is said. */
typedef struct {
    nn_quad_t quad;
    nn_widen_t widen;            /* of a row of a window, which is a column to it */
    int32_t window_rows;         /* of a window */
    int32_t tail_at, tail_bytes; /* inputs of three rows that fill no word make up the last one of a
                                    window: where the first is, from one to the next; or 0, and
                                    widening has the last word */
    const uint16_t *windows;     /* [band_pixels]: of a band's pixels, behind the first row */
    int32_t height, pad_h;       /* rows: of the input, above it */
    int32_t pad_value;           /* the input's zero point */
    int32_t line_bytes;          /* from a row of the input to the next */
    int32_t inside_bytes;        /* of such a row: what windows reach */
    int32_t moved_bytes;         /* of these: brought to scratch by eight words at a time */
    int32_t other_bytes;         /* inside_bytes - moved_bytes */
    int32_t left_bytes;          /* of a row in scratch, before that */
    int32_t row_bytes;           /* from a row in scratch to the next */
    int32_t rows_bytes;          /* of all of them */
    int32_t done_bytes;          /* of those that the next band does not reach: not all */
    int32_t x_bytes;             /* of four windows, widened */
    int32_t pixels, band_pixels; /* of the output, of a band */
    int32_t depth;               /* of a pixel of the output */
    /* nn_quad_s8, or nn_channels_s8 where the last channel has no partner */
    void (*products)(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride);
} nn_fours_t;

/* scratch: x_bytes + rows_bytes. The output may lie on the input where quantize/lowering says so.
 */
void nn_conv_2d_fours_s8(const nn_fours_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

/* The same with a copy of the stream behind that, at a multiple of NN_ALIGNMENT. */
void nn_conv_2d_fours_in_ram_s8(const nn_fours_t *p, const int8_t *input, int8_t *output,
                                int8_t *scratch);

#endif
