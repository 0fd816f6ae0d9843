/* Convolutions whose rows are widened once, in slots that hold each window in one piece.
 *
 * An output row is computed in groups of four, each of another quarter of the row. For each column
 * of such a quarter, scratch has kernel_h slots of one input row each: row r of column c lies in
 * slot c * kernel_h + r - origin. A new row takes the slot of the next column's oldest row, which
 * no window needs any more, so windows move on by one slot a row and nothing is shifted until the
 * spare slots at the end are used up.
 *
 * What a column is, its loader and its products say:
 *
 *   nn_load_quads_s8   a pixel of the input, four channels at a time         nn_channels_s8
 *   nn_load_pairs_s8   two bytes of the input: a pixel of two channels, or   nn_channels_s8
 *                      two of one channel where the stride is 2
 *   nn_load_tiles_s8   a tile of four pixels, for two outputs                nn_winograd_s8
 *
 * Tiles are computed by Winograd's F(2,3) along a row: of four inputs d and three weights g, with
 * all outputs doubled, so that nothing is divided,
 *
 *     2 * y0 = (d1 + d2)(g0 + g1 + g2) + (d2 - d1)(g0 - g1 + g2) + (d0 - d2) 2 g0
 *     2 * y1 = (d1 + d2)(g0 + g1 + g2) - (d2 - d1)(g0 - g1 + g2) + (d3 - d1) 2 g2
 *
 * All of it is exact: factors fit 16 bits, and sums that fit 32 bits in the end may wrap around on
 * the way. The four products are the phases 0 to 3 below, in the order in which they stand here.
 */
#ifndef NN_ROWS_H
#define NN_ROWS_H

#include "nn_packed.h"

typedef struct {
    uint32_t *slots;
    int8_t *beside;         /* what the loader keeps, filled with the input's zero point */
    int32_t origin, loaded; /* rows of the padded image */
} nn_slots_t;

typedef struct {
    int32_t count, step_bytes; /* of slots, from one row's slot to that of the next column */
} nn_slot_columns_t;

typedef struct nn_conv_rows nn_conv_rows_t;
struct nn_conv_rows {
    nn_sizes_t size;     /* dilation 1 */
    uint16_t groups;     /* of a row */
    uint16_t slot_words; /* of a row and column */
    uint16_t spare;      /* rows that fit into scratch beside those of one window */
    nn_slot_columns_t columns;
    int32_t quarter;  /* from one of four to the next: of the input, pixels, or bytes for pairs */
    nn_widen_t widen; /* of a pixel, for quads */
    int32_t slots, beside_bytes;
    int32_t group_words;               /* from the inputs of a group to those of the next */
    int32_t group_bytes, stride_bytes; /* of outputs: from a group to the next, one of four to the
                                          next */
    void (*load)(const nn_conv_rows_t *p, const int8_t *image, const nn_slots_t *slots);
    void (*products)(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride);
    nn_quad_t quad; /* steps: by column, row and channels */
};

/* Row `loaded` of the padded image to its slots. */
void nn_load_quads_s8(const nn_conv_rows_t *p, const int8_t *image, const nn_slots_t *slots);
void nn_load_pairs_s8(const nn_conv_rows_t *p, const int8_t *image, const nn_slots_t *slots);
void nn_load_tiles_s8(const nn_conv_rows_t *p, const int8_t *image, const nn_slots_t *slots);

/* Two bytes of each of four pixels of a padded row, `quarter` bytes apart, for each column. */
void nn_pair_columns_s8(uint32_t *x, const int8_t *row, int32_t quarter,
                        const nn_slot_columns_t *p);

/* The weights of two output channels A and B at a time. A pair in the stream, in words: first value
 * of A and of B, << p; multiplier and constant of A, then of B; shift of A in the lowest byte, of B
 * in the next; for each phase and step the two weights of A, then of B, << p - 1. Forms are
 * NN_FIXED and NN_SIGN. */
#define NN_WINOGRAD_PHASES 4
#define NN_WINOGRAD_STEPS 6 /* at a time, of a phase: by row and channels */

/* The words of a step: for each phase, two inputs of each of NN_QUAD tiles. */
#define NN_WINOGRAD_WORDS (NN_WINOGRAD_PHASES * NN_QUAD)

/* What the phases of one tile multiply, `words` times four channels of four pixels: bytes (0, 2) to
 * x, bytes (1, 3) to the next step. */
void nn_winograd_tile_s8(uint32_t *x, const int8_t *const *pixels, int32_t words);

/* Four tiles of two pixels times all channels, an even number: tile i at output + i * stride. */
void nn_winograd_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride);

/* scratch: 4 * slots * slot_words + beside_bytes. The output may lie on the input where
 * quantize/lowering says so. */
void nn_conv_2d_rows_s8(const nn_conv_rows_t *p, const int8_t *input, int8_t *output,
                        int8_t *scratch);

/* The same with a copy of the stream behind that, at a multiple of NN_ALIGNMENT. */
void nn_conv_2d_rows_in_ram_s8(const nn_conv_rows_t *p, const int8_t *input, int8_t *output,
                               int8_t *scratch);

#endif
