/* Kernels of int16 activations on packed int8 weights: what the code generator calls on cores with
 * fast 16-bit products. Sums have 32 bits where nothing else is said, which the generator has
 * proven to be enough.
 */
#ifndef NN_WIDE_H
#define NN_WIDE_H

#include "nn_packed.h"

/* The stream of an nn_quad_t whose form is NN_WIDE or NN_WIDE_RELU: the weights of two output
 * channels A and B at a time. A pair, in words:
 *
 *   2            bias of A, of B
 *   steps        bytes a0, b0, a1, b1 for the two inputs of a step
 *   1            multiplier of A in the lower half, of B in the upper
 *   2            constant of A, of B
 *   1            shift of A in the lowest byte, of B in the next
 */
#define NN_WIDE_WORDS 6 /* of a pair in the stream, besides its steps */

/* Four pixels times all pairs: output of pixel i at output + i * stride. x holds, step by step, the
 * two inputs of each of the four pixels. */
void nn_quad_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output, int32_t stride);

/* The same for all channels, of which an odd last one has no partner. */
void nn_channels_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output, int32_t stride);

/* One pixel times all channels; x holds its inputs step by step. */
void nn_pixel_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output);

/* Append all runs of a window of each of four pixels to x. Returns where the next inputs go. */
uint32_t *nn_gather_quad_s16(uint32_t *x, const int8_t *const *pixels, const nn_runs_t *runs);

/* All sizes of the parameters are bytes, also input.c and output.c. scratch: as
 * nn_conv_2d_packed_s8. The output may lie on the input where quantize/lowering says so. */
void nn_conv_2d_packed_s16(const nn_conv_packed_t *p, const int16_t *input, int16_t *output,
                           int8_t *scratch);

/* A fully connected layer of 2 * steps inputs. */
typedef struct {
    int32_t batches;
    nn_quad_t quad;
} nn_wide_dense_t;

void nn_fully_connected_packed_s16(const nn_wide_dense_t *p, const int16_t *input, int16_t *output);

/* Where sums may leave 32 bits: one pixel at a time. A pair in the stream is, in words:
 *
 *   4            bias of A, of B, the lower word first
 *   steps        as above
 *   4            multiplier and constant of A, of B
 *   1            shift of A in the lowest byte, of B in the next
 *
 * and an output is ((sum * multiplier >> 32) + constant) >> shift.
 */
#define NN_LONG_WORDS 9 /* of a pair in the stream, besides its steps */

void nn_pixel_long_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output);
void nn_conv_2d_long_s16(const nn_conv_packed_t *p, const int16_t *input, int16_t *output,
                         int8_t *scratch);
void nn_fully_connected_long_s16(const nn_wide_dense_t *p, const int16_t *input, int16_t *output);

/* nn_depthwise_group_s8 and nn_depthwise_group_by_2_s8 for int16: input and output of a group point
 * to int16 values. Of a channel's two words in the stream the first is its bias, the second its
 * multiplier and 65536 times its shift of NN_WIDE, whose constant is half of 1 << shift. Weights
 * and inputs are those of the model, and scratch has ten words a channel. */
#define NN_WIDE_CHANNEL_WORDS 10
void nn_depthwise_group_s16(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group);
void nn_depthwise_group_by_2_s16(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group);

/* scratch: 160 bytes and the ring; the output on the input: as nn_depthwise_conv_2d_packed_s8. */
void nn_depthwise_conv_2d_packed_s16(const nn_depthwise_packed_t *p, const int16_t *input,
                                     int16_t *output, int8_t *scratch);

/* A depthwise convolution of int16 with any window, c is at least 4. Four channels in the stream,
 * the last of which may be some of those before, in words:
 *
 *   4            biases
 *   taps         bytes of channels 0, 2, 1, 3, row by row
 *   2            multipliers, the first and the third in the lower half
 *   4            constants
 *   1            shifts, a byte each
 */
typedef struct {
    const int32_t *stream;
    int32_t channels;
    int32_t taps; /* of the window */
    nn_form_t form;
    nn_shape_t input, output;
    nn_window_t window;
} nn_depthwise_taps_t;

#define NN_WIDE_GROUP_WORDS 11 /* of four channels in the stream, besides their taps */

/* One pixel; input: its first tap. */
void nn_depthwise_taps_s16(const nn_depthwise_taps_t *p, const nn_taps_t *taps,
                           const int16_t *input, int16_t *output);
void nn_depthwise_conv_2d_taps_s16(const nn_depthwise_taps_t *p, const int16_t *input,
                                   int16_t *output);

/* R(x) = (round(x * multiplier / 2^32) + half - (x < 0)) >> shift, which is double rounding; half
 * is 1 << (shift - 1), the shift 1 .. 30. */
typedef struct {
    int32_t multiplier, half, shift;
} nn_sum_factor_t;

/* out = R_output(2 * s) with s = 2^14 * whole + R_part(2^16 * part), clamped to the type's range,
 * or to 0..32767 with relu. nn_minus_s16 subtracts the part, nn_from_s16 the whole from the part.
 * The output may lie on an operand. */
typedef struct {
    nn_sum_factor_t part, output;
    int32_t count, relu;
} nn_sum_s16_t;

void nn_plus_s16(const nn_sum_s16_t *p, const int16_t *whole, const int16_t *part, int16_t *output);
void nn_minus_s16(const nn_sum_s16_t *p, const int16_t *whole, const int16_t *part,
                  int16_t *output);
void nn_from_s16(const nn_sum_s16_t *p, const int16_t *whole, const int16_t *part, int16_t *output);

/* out = R(min(2 * a * b, 2^31 - 1)), clamped likewise. The output may lie on an operand. */
typedef struct {
    nn_sum_factor_t output;
    int32_t count, relu;
} nn_product_s16_t;

void nn_product_s16(const nn_product_s16_t *p, const int16_t *a, const int16_t *b, int16_t *output);

/* Between int8 and int16 activations. */
typedef struct {
    int32_t count, multiplier;
    int32_t half;     /* 2^14 over 2^left, by which a factor above 1 shifts left: 0 .. 14 */
    int32_t constant; /* to int8: the output's zero point and a half, << shift; from int8: the
                         negated zero point of the input in each halfword */
    int32_t shift;    /* to int8: to the right, 1 .. 22; from int8: 15 - left */
} nn_rescale_wide_t;

/* The output may lie on the input. */
void nn_rescale_s16_s8(const nn_rescale_wide_t *p, const int16_t *input, int8_t *output);
void nn_rescale_s8_s16(const nn_rescale_wide_t *p, const int8_t *input, int16_t *output);

#endif
