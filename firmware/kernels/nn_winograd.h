/* Convolutions of three columns by Winograd's F(2,3) along a row: two outputs for four products.
 *
 * Of four inputs d and three weights g, with all outputs doubled, so that nothing is divided:
 *
 *     2 * y0 = (d1 + d2)(g0 + g1 + g2) + (d2 - d1)(g0 - g1 + g2) + (d0 - d2) 2 g0
 *     2 * y1 = (d1 + d2)(g0 + g1 + g2) - (d2 - d1)(g0 - g1 + g2) + (d3 - d1) 2 g2
 *
 * All of it is exact: factors fit 16 bits, and sums that fit 32 bits in the end may wrap around on
 * the way. The four products are the phases 0 to 3 below, in the order in which they stand here.
 */
#ifndef NN_WINOGRAD_H
#define NN_WINOGRAD_H

#include "nn_packed.h"

/* The weights of two output channels A and B at a time. A pair in the stream, in words: first value
 * of A and of B, << p; multiplier and constant of A, then of B; shift of A in the lowest byte, of B
 * in the next; for each phase and step the two weights of A, then of B, << p - 1. */
typedef struct {
    nn_shape_t input, output; /* output.w is a multiple of 8, its c of 2, input.c of 4 */
    nn_window_t window;       /* 3 columns; stride and dilation 1 */
    int32_t pad_value;        /* the input's zero point */
    int32_t spare;            /* rows that fit into scratch beside those of one window */
    nn_quad_t quad;           /* steps: of a phase, by row and c channels; NN_FIXED or NN_SIGN */
} nn_winograd_t;

#define NN_WINOGRAD_PHASES 4
#define NN_WINOGRAD_STEPS 6 /* at a time */

/* The words of a step: for each phase, two inputs of each of NN_QUAD tiles. */
#define NN_WINOGRAD_WORDS (NN_WINOGRAD_PHASES * NN_QUAD)

/* What the phases of one tile multiply, `words` times four channels of four pixels: bytes (0, 2) to
 * x, bytes (1, 3) to the next step. */
void nn_winograd_tile_s8(uint32_t *x, const int8_t *const *pixels, int32_t words);

/* Four tiles of two pixels times all channels: tile i at output + i * stride. */
void nn_winograd_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride);

/* scratch: output.w / 8 * kernel_h + spare slots of 32 * input.c bytes, then input.c bytes. */
void nn_conv_2d_winograd_s8(const nn_winograd_t *p, const int8_t *input, int8_t *output,
                            int8_t *scratch);

#endif
