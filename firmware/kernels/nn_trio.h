/* Kernels for cores whose products are 32 bits wide and no wider, four pixels at a time. */
#ifndef NN_TRIO_H
#define NN_TRIO_H

#include "nn_elementwise.h"
#include "nn_types.h"

/* How a sum becomes an output with 32-bit products:
 *
 *   x      = sum, kept within least .. most
 *   value  = x * high + ((x * mid + (x * low >> NN_LOW_BITS)) >> NN_MID_BITS) + constant
 *   value += value < 0 ? below : or_more
 *   output = value >> shift
 *
 * quantize/lowering/split.py has proven it equal to double rounding for every possible input. */
typedef struct {
    int32_t least, most, high, mid, low, shift, constant, or_more, below;
} nn_exact_t;

/* Without x * low, and without least and most:
 *
 *   value  = sum * high + (sum * mid >> NN_MID_BITS) + (sum < 0 ? below : or_more)
 *   output = value >> shift, kept within -128..127 */
typedef struct {
    int32_t high, mid, or_more, below;
} nn_short_t;

#define NN_MID_BITS 12
#define NN_LOW_BITS 11

#define NN_TRIO_PIXELS 4

/* The weights of all output channels as one stream of words, three channels A, B and C at a time;
 * for each three
 *
 *   chunks times
 *     2            first values of B + 2^11 C and of A + 2^21 C
 *     8 * steps    b + 2^11 c and a + 2^21 c of the four inputs of each step
 *     1            the shift of nn_short_t, when sums are accumulators; else -1
 *   for each channel that exists
 *     4 or 10      nn_short_t; or a word that is added to x, and nn_exact_t
 *
 * A last channel that is alone has only A's words. Each chunk's sums lie between -2^20 and 2^20; a
 * channel's chunks are added up. */
typedef struct {
    const int32_t *stream;
    int32_t channels;
    int32_t chunks;
    int32_t steps; /* of four inputs, in each chunk */
} nn_trio_t;

typedef struct {
    nn_shape_t input, output;
    nn_window_t window;
    int32_t pad_value; /* the input's zero point */
    nn_trio_t trio;
} nn_conv_trio_t;

/* Outputs of one channel along a line, four at a time, from inputs plus 128 side by side. */
typedef struct {
    int32_t groups;     /* of four outputs */
    int32_t segments;   /* of three weights side by side */
    int32_t stride;     /* inputs from one output to the next: 1 or 2 */
    int32_t by_sign;    /* 0: or_more and below are 0 */
    int32_t outputs[3]; /* bytes from output 0 of a group to 1, to 2, to 3; 0 where none exists */
    int32_t next[2];    /* inputs and bytes of the output to the next group */
    int32_t last[2];    /* to the last group, which may overlap the one before */
} nn_line_t;

/* A channel; behind it, for each segment, four halfwords: the weights, and the inputs from this
 * segment's to those of the next one. The numbers are those of nn_trio_t; first is added to a sum.
 */
typedef struct {
    int32_t first;
    nn_exact_t exact;
} nn_line_channel_t;

/* A depthwise convolution. Of one channel at a time the inputs are copied to a plane with a border;
 * its lines are the image's rows, or its columns where they are longer. */
typedef struct {
    int32_t images, channels, depth_multiplier;
    int32_t input_bytes, output_bytes; /* of an image */
    int32_t pad_value;                 /* the input's zero point */
    int32_t plane_bytes, plane_start;  /* place of the image's first input */
    int32_t lines, inputs;             /* to copy, and inputs of each */
    int32_t plane_line;                /* inputs from one line of the plane to the next */
    int32_t image_line, image_input;   /* bytes from one line and input of the image to the next */
    int32_t output_lines;
    int32_t line_inputs, line_outputs; /* inputs and output bytes from one to the next */
    const int32_t *stream;             /* nn_line_channel_t and segments, for each output channel */
    int32_t channel_words;
    nn_line_t line;
} nn_depthwise_line_t;

/* Four pixels times all channels. x holds input k of pixel i, plus 128, at 4 * k + i; outputs[i] is
 * where pixel i goes. Pixels may go to the same place. */
void nn_trio_s8(const nn_trio_t *trio, const uint8_t *x, int8_t *const *outputs);

/* scratch: 16 * chunks * steps bytes and one an input channel. The output may lie on the input
 * where quantize/lowering says so. */
void nn_conv_2d_trio_s8(const nn_conv_trio_t *p, const int8_t *input, int8_t *output,
                        int8_t *scratch);

/* A fully connected layer. The stream holds four channels at a time: four first values, then the
 * weights plus 128 as bytes, input by input. */
typedef struct {
    const int32_t *stream;
    const nn_exact_t *exact;
    int32_t exact_bytes; /* from one channel to the next; 0: all have the same */
    int32_t output_depth;
    int32_t steps; /* of four inputs */
    int32_t batches, input_depth;
} nn_dense_bytes_t;

/* ADD and SUB: what nn_linear_s8 computes, with both of its products in tables of 256 words; the
 * byte 0 comes first, the byte of -1 last. out = (a's term + b's term) >> NN_LINEAR_SHIFT, kept
 * within -128..127. */
typedef struct {
    const int32_t *a_terms, *b_terms;
    nn_row_pairs_t rows;
} nn_linear_terms_t;

/* All outputs of a line; x, output: those of the first. */
void nn_line_s8(const nn_line_t *line, const nn_line_channel_t *channel, const uint8_t *x,
                int8_t *output);

/* scratch: plane_bytes. The output may lie on the input where quantize/lowering says so. */
void nn_depthwise_conv_2d_line_s8(const nn_depthwise_line_t *p, const int8_t *input, int8_t *output,
                                  int8_t *scratch);

/* One vector times all channels; x: its 4 * steps inputs plus 128, base: added to every sum. */
void nn_dense_bytes_s8(const nn_dense_bytes_t *p, const uint8_t *x, int8_t *output, int32_t base);

/* The same with x as it is, whole words. */
void nn_dense_direct_s8(const nn_dense_bytes_t *p, const int8_t *x, int8_t *output, int32_t base);

/* scratch: 4 * steps bytes. */
void nn_fully_connected_bytes_s8(const nn_dense_bytes_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch);

/* input_depth is 4 * steps. */
void nn_fully_connected_direct_s8(const nn_dense_bytes_t *p, const int8_t *input, int8_t *output);

/* The output may lie on an operand that has all rows. */
void nn_linear_terms_s8(const nn_linear_terms_t *p, const int8_t *a, const int8_t *b,
                        int8_t *output);

#endif
