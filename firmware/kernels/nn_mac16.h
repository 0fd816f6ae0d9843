/* Kernels for cores that add up one product of 16 x 16 bits an instruction (Xtensa's MAC16). */
#ifndef NN_MAC16_H
#define NN_MAC16_H

#include "nn_trio.h"
#include "nn_types.h"

/* Before the weights of a channel:
 *
 *   value  = sum * high + (sum * mid >> NN_MID_BITS) + or_more
 *   output = value >> shift, kept within -128..127
 *
 * With NN_MAC_KEPT in shift this is the front of an nn_mac_kept_t. quantize/lowering/products.py
 * has proven it equal to double rounding for every possible input. */
typedef struct {
    int32_t first; /* value of a sum */
    int32_t high, mid, or_more;
    int32_t shift;
} nn_mac_t;

/* x      = sum, kept within least .. most
 * value  = x * high + (x * mid >> NN_MID_BITS) + (x < 0 ? below : or_more)
 * output = value >> shift
 *
 * Without NN_MAC_BY_SIGN in shift, below is or_more. */
typedef struct {
    nn_mac_t mac;
    int32_t below, least, most;
} nn_mac_kept_t;

#define NN_MAC_KEPT 32
#define NN_MAC_BY_SIGN 64
#define NN_MAC_STEP 4 /* inputs */

/* Windows side by side times all channels. The stream holds for each channel its numbers, then its
 * weights as halfwords, in the order of the inputs; a word behind the last channel. */
typedef struct {
    const int32_t *stream;
    int32_t channels;
    int32_t steps; /* of NN_MAC_STEP inputs in a window */
    int32_t gap; /* bytes from a window's end to the next one's begin: below 0 where they overlap */
    int32_t output_step; /* bytes from one window's outputs to the next one's */
} nn_windows_t;

/* What lies side by side in memory and goes to places of its own. */
typedef struct {
    int32_t inputs; /* of a column */
    int32_t columns;
    int32_t step; /* bytes from the halfwords of one column to those of the next */
} nn_columns_t;

/* A convolution of single pixels. */
typedef struct {
    nn_windows_t windows;
    int32_t images_pixels; /* of all images */
    int32_t at_once;       /* pixels in scratch */
    int32_t input_depth;
} nn_conv_pixels_t;

/* Any convolution without dilation, a row of outputs at a time. */
typedef struct {
    nn_shape_t input, output;
    nn_window_t window;
    int32_t pad_value;   /* the input's zero point */
    int32_t columns;     /* of the padded input that windows reach */
    nn_columns_t inside; /* of these, columns of the input; whole words from one to the next */
    int32_t spare;       /* slots at the end */
    int32_t again;       /* 1: windows stay at the first slot, 0: they move on */
    nn_windows_t windows;
} nn_conv_columns_t;

/* One channel's plane: for each pair of inputs side by side in a line a word of every line. */
typedef struct {
    int32_t start;             /* bytes from the plane's begin to the first pair of an image */
    int32_t lines;             /* to copy */
    int32_t head, pairs, tail; /* of a line: an input in the upper half, pairs, one in the lower */
    int32_t pair_step;         /* bytes from a pair to the next one in its line */
    int32_t input_step;        /* bytes from an input to the next one of a line */
    int32_t line_step;         /* from behind the last one to the next line */
} nn_plane_t;

/* Outputs of one channel, with windows of three by three. Behind a channel's numbers, whose first
 * value is 0, stand its nine weights, line by line, as halfwords of five words. */
typedef struct {
    int32_t outputs, lines;
    int32_t is_by_2;     /* along a line: 1: stride 2, 0: stride 1 */
    int32_t pair_step;   /* bytes from a pair of the plane to the next one of its line */
    int32_t line_inputs; /* bytes of the plane from a line of outputs to the next one */
    int32_t output_step;
    int32_t line_outputs; /* bytes from behind the last output to the next line */
} nn_nine_t;

/* A depthwise convolution of windows of three by three. */
typedef struct {
    int32_t images, channels, depth_multiplier;
    int32_t input_bytes, output_bytes; /* of an image */
    int32_t pad_value;                 /* the input's zero point */
    int32_t plane_words;
    const int32_t *stream; /* of each output channel: numbers and weights */
    nn_plane_t plane;
    nn_nine_t nine;
} nn_depthwise_nine_t;

#define NN_NINE_WORDS 5 /* of weights */

/* A depthwise convolution of windows along one axis. For each output channel the stream of
 * `windows`, which is set at run time, has the channel's weights, and where `odd` is above 0 once
 * more with a zero before them: of outputs 0, 2, 4, ... and of outputs 1, 3, 5, ... */
typedef struct {
    int32_t images, channels, depth_multiplier;
    int32_t input_bytes, output_bytes; /* of an image */
    int32_t pad_value;                 /* the input's zero point */
    int32_t halfwords;                 /* of scratch */
    int32_t lines;
    int32_t line_inputs, line_outputs; /* bytes from one line to the next */
    int32_t even, odd;                 /* outputs of a line */
    int32_t odd_start, odd_output;     /* halfwords and bytes to the first odd one */
    const int32_t *stream;
    nn_plane_t plane; /* of one line */
    nn_windows_t windows;
} nn_depthwise_run_t;

/* A fully connected layer. The stream holds for each `group` of channels, for each `chunk` of
 * inputs, for each two channels A and B of the group the halfwords 256 a + b + 128 of their
 * weights, in the order 0, 2, 1, 3 of each four inputs. */
typedef struct {
    const int32_t *stream;
    const int32_t *firsts; /* values of the sums, of an even number of channels */
    const nn_mac_kept_t *numbers;
    int32_t are_shared; /* 1: all channels have the same numbers */
    int32_t batches, input_depth, output_depth;
    int32_t group; /* an even number */
    int32_t chunk; /* whole steps */
} nn_dense_pairs_t;

typedef struct {
    int32_t steps; /* of inputs */
    int32_t pairs; /* of channels */
} nn_pair_sums_t;

/* Adds products to the sums of channels. x: inputs plus 128 as halfwords, and a word behind them.
 */
void nn_pair_sums_s8(const nn_pair_sums_t *p, const int32_t *stream, const int16_t *x,
                     int32_t *sums);

/* `count` outputs with the same numbers. */
void nn_kept_outputs_s8(const nn_mac_kept_t *numbers, const int32_t *sums, int8_t *output,
                        int32_t count);

/* scratch: 2 * chunk + 4 + 4 * group bytes. */
void nn_fully_connected_pairs_s8(const nn_dense_pairs_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch);

/* x: inputs plus 128 as halfwords, and a word behind the last window. */
void nn_windows_s8(const nn_windows_t *p, const int16_t *x, int8_t *output, int32_t count);

/* Bytes of columns as halfwords, each plus 128: whole words of them, in the order 0, 2, 1, 3 of
 * each four; or any number of them in their own order. */
void nn_widen_columns_s8(const nn_columns_t *p, const int8_t *from, int16_t *to);
void nn_offset_columns_s8(const nn_columns_t *p, const int8_t *from, int16_t *to);

/* All inputs of a channel, plus 128. */
void nn_plane_s8(const nn_plane_t *p, const int8_t *input, int16_t *plane);

/* All outputs of a channel. */
void nn_nine_s8(const nn_nine_t *p, const nn_mac_t *mac, const int16_t *plane, int8_t *output);

/* scratch: 4 * plane_words bytes. The output may lie on the input where quantize/lowering says so.
 */
void nn_depthwise_conv_2d_nine_s8(const nn_depthwise_nine_t *p, const int8_t *input, int8_t *output,
                                  int8_t *scratch);

/* scratch: 2 * halfwords bytes. The output may lie on the input where quantize/lowering says so. */
void nn_depthwise_conv_2d_run_s8(const nn_depthwise_run_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch);

/* scratch: the slots of all columns, spare ones, and what windows reach behind them. The output may
 * lie on the input where quantize/lowering says so. */
void nn_conv_2d_columns_s8(const nn_conv_columns_t *p, const int8_t *input, int8_t *output,
                           int8_t *scratch);

/* scratch: 2 * NN_MAC_STEP * steps * at_once + 4 bytes. The output may lie on the input where
 * quantize/lowering says so. */
void nn_conv_2d_pixels_s8(const nn_conv_pixels_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch);

#endif
