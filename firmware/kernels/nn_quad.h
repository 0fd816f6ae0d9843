/* Products of pixels and packed weights, two channels at a time: what convolutions on cores with
 * fast 16-bit products have in common, and those of 1 x 1.
 */
#ifndef NN_QUAD_H
#define NN_QUAD_H

#include <stdint.h>

/* How a sum becomes an output; quantize/proofs.py has proven it equal to double rounding for every
 * sum that can occur. `constant` holds the output's zero point and the rounding of the shift.
 * Clamping to the type's range is all the clamping there is, if nothing else is said. */
typedef enum {
    NN_FLOOR,    /* ((256 * sum * multiplier >> 32) + constant) >> shift */
    NN_FIXED_8,  /* as NN_FIXED, p = 8 */
    NN_SIGN,     /* (round(2 * sum * multiplier / 2^32) + (sum >> 31) + constant) >> shift */
    NN_JUMP,     /* ((constant & ~((uint32_t)v >> 24)) + (v * multiplier >> 32)) >> 14,
                    v = 256 * sum + f */
    NN_FIXED,    /* (((sum << p) * multiplier >> 32) + constant) >> 12, p in 2..8 */
    NN_WIDE,     /* of int16, see nn_wide.h: ((sum * multiplier >> 16) + constant) >> shift */
    NN_WIDE_RELU /* the same, clamped to 0..32767 */
} nn_form_t;

/* The weights of two output channels A and B at a time. A pair in the stream of nn_quad_s8, in
 * words:
 *
 *   1       256 * first value of A + first value of B (bias, input zero point folded in)
 *           NN_JUMP: plus f of A
 *   1       first value of B
 *   steps   halfwords 256 * a + b of the two inputs of a step
 *   2       multipliers of A and B
 *   1       NN_FIXED_8: by how much the constants of A and B are more than the layer's, a
 *           halfword each
 *           NN_JUMP: f of B in bits 0 to 7; an eighth of these differences in bits 8 to 17 and
 *           from 22 on
 *           NN_FLOOR, NN_SIGN: shifts of A and B in the two lowest bytes
 *   2       NN_FLOOR, NN_SIGN: constants of A and B
 *
 * nn_pixel_s8 does not know NN_JUMP. Other kernels have other streams, see nn_wide.h and nn_rows.h;
 * then the last three fields are 0. */
typedef struct {
    const int32_t *stream;
    uint16_t count;         /* of channels, of nn_quad_s16 pairs of them; not 0 */
    uint16_t steps;         /* of two inputs each; even */
    uint16_t form;          /* nn_form_t */
    uint16_t requant_words; /* of a pair, behind its steps: 3, or 5 with a shift */
    int32_t constant;       /* of the layer; 0 with a shift */
    void (*outputs)(void);  /* of nn_quad_s8: NULL for NN_FIXED_8, or one of these */
} nn_quad_t;

/* Parts of nn_quad_s8, so that an image has those of the forms that it uses. */
void nn_quad_floor_s8(void);
void nn_quad_sign_s8(void);
void nn_quad_jump_s8(void);

#define NN_QUAD 4 /* pixels */

/* Words of a pair in the stream of nn_quad_s8. */
static inline int32_t nn_pair_words(const nn_quad_t *quad)
{
    return 2 + quad->steps + quad->requant_words;
}

/* Images and the windows over them, in numbers that the generator has found to be small enough.
 * Depths are bytes of a pixel. */
typedef struct {
    uint16_t images, height, width, depth;     /* of the input */
    uint16_t out_height, out_width, out_depth; /* of the output */
    uint16_t reach;                            /* rows from a window's first to its last */
    uint16_t stride_h, stride_w, pad_h, pad_w;
    int16_t pad_value; /* the input's zero point */
} nn_sizes_t;

/* Four pixels times all pairs, of which there must be one: output of pixel i at output + i *
 * stride. x holds, step by step, the two inputs of each of the four pixels. */
void nn_quad_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride);

/* The same for all channels, of which an odd last one has no partner. */
void nn_channels_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride);

/* One pixel times all channels; x holds its inputs step by step. */
void nn_pixel_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output);

/* Copies words from flash to RAM, where a kernel reads them often: `to`. */
const int32_t *nn_in_ram(int8_t *to, const int32_t *words, int32_t count);

#define NN_ALIGNMENT 16 /* bytes, of what lies in the arena */

/* Copies a stream behind `bytes` of scratch. */
const int32_t *nn_stream_in_ram(const nn_quad_t *quad, int8_t *scratch, int32_t bytes);

/* A convolution of 1 x 1 over pixels side by side, of `steps` inputs times two each; or the vectors
 * of a fully connected layer. */
typedef struct {
    nn_quad_t quad;
    int32_t pixels;
    uint16_t input_bytes, output_bytes; /* from a pixel to the next */
} nn_single_t;

/* The same where there are four pixels or more. */
typedef struct {
    nn_single_t single;
    /* nn_quad_s8, or nn_channels_s8 where the last channel has no partner */
    void (*products)(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride);
    /* nn_conv_2d_single_s8, or NULL where no pixels are left */
    void (*left)(const nn_single_t *p, const int8_t *input, int8_t *output, int8_t *scratch);
} nn_points_t;

/* scratch: 16 * steps bytes. The output may lie on the input where quantize/lowering says so. */
void nn_conv_2d_points_s8(const nn_points_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch);

/* The same with a copy of the stream behind that, at a multiple of NN_ALIGNMENT. */
void nn_conv_2d_points_in_ram_s8(const nn_points_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch);

/* The pixels that fill no four. scratch: 4 * steps bytes. */
void nn_conv_2d_single_s8(const nn_single_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch);

#endif
