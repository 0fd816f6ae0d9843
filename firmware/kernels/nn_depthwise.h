/* Depthwise kernels on packed weights beside those of nn_packed.h, four channels at a time. */
#ifndef NN_DEPTHWISE_H
#define NN_DEPTHWISE_H

#include "nn_packed.h"

/* Windows along lines of inputs: along columns, rows, or all pixels of an image.
 *
 * A group of four channels has (kernel + 1) / 2 pairs of taps, eight bytes each: taps t and t + 1
 * of channels 0 and 1 as t of 0, t of 1, t + 1 of 0, t + 1 of 1; then the same of channels 2 and 3.
 * Behind an odd last tap lies a zero. Where channels are no multiple of four, the last group is
 * that of the last four; what another group computes of them is left alone. */
typedef struct {
    uint16_t images, lines, channels; /* channels: at least 4 */
    uint16_t inputs, outputs, kernel; /* of a line; taps of a window */
    uint16_t input_step, output_step; /* bytes from one of a line to the next */
    uint16_t stride;                  /* and from a window to the next */
    uint16_t pad;                     /* inputs before a line */
    uint16_t pairs;                   /* of inputs of a padded line */
    uint8_t form;                     /* NN_FLOOR or NN_SIGN; p is 8, or 1 in NN_SIGN */
    int32_t pad_word;                 /* four bytes, each the input's zero point */
    int32_t input_line, output_line;  /* bytes from a line to the next */
    int32_t input_image, output_image;
    const int8_t *taps;
    const int32_t *values; /* [c][4]: first value of the sum << p, multiplier, constant, shift */
} nn_lines_t;

#define NN_STEP_WORDS 8 /* a step of windows, which is at most two taps */

/* stride is input_step. scratch, in words:
 *
 *   8 a step, of which there are kernel / 2 + 1   for each channel taps (2k, 2k + 1) and
 *                                                 (2k, 2k - 1), shifted left by p
 *   4 a pair of inputs                            a word a channel
 *
 * The output may lie on the input where quantize/lowering says so. */
void nn_depthwise_lines_s8(const nn_lines_t *p, const int8_t *input, int8_t *output,
                           int8_t *scratch);

/* Each output on its own: any stride, no padding. */
void nn_depthwise_dots_s8(const nn_lines_t *p, const int8_t *input, int8_t *output);

/* Windows of several rows, of which each is a line: lines are rows of outputs, input_line is from a
 * row of the image to the next, `taps` hold for each group row by row what a line has, `pairs` are
 * those of a row. */
typedef struct {
    nn_lines_t line;
    int32_t height, kernel_h, stride_h, pad_h; /* of the image, of the windows; all in rows */
} nn_depthwise_rows_t;

#define NN_WINDOW_ROWS 8 /* at most; of at most 15 columns, and stride_h is at most kernel_h */

/* scratch: what nn_depthwise_lines_s8 needs, kernel_h times. The output may lie on the input where
 * quantize/lowering says so. */
void nn_depthwise_rows_s8(const nn_depthwise_rows_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch);

/* A convolution of 3 x 3 over images of one channel: so is a depthwise one with many outputs. */
typedef struct {
    uint16_t images, height, width; /* of the input */
    uint16_t out_height, out_width, channels;
    uint16_t inside;    /* columns of the input that windows reach */
    uint16_t row_bytes; /* of a padded row, and one more: a multiple of 4 */
    uint8_t stride_h, stride_w, pad_h, pad_w;
    int8_t pad_value;      /* the input's zero point */
    int8_t out_zero_point; /* of the output */
    const int32_t *values; /* [channels][2]: as in the stream of an nn_depthwise_group_t */
    const int8_t *taps;    /* [channels][10]: weights, in pairs as in an nn_mono_row_t; 0 */
} nn_mono_t;

#define NN_MONO_TAPS 10
#define NN_MONO_WORDS 8 /* of a channel in scratch */

/* A row of outputs, as those of nn_depthwise_group_s8. A channel in the stream, in words: weights
 * (0, 2) of the third row, (0, 0) of the first two, (2, 2) and (1, 1) of these, (1, none) of the
 * third, << (p - 8); first value, multiplier, out_zero_point << NN_CODE_BITS. */
typedef struct {
    int8_t *rows[3]; /* of the input, padded */
    int32_t column;  /* of the window, in bytes */
    int32_t stride;  /* from a window to the next */
    const int32_t *stream;
    int32_t channels, pixels;
} nn_mono_row_t;

void nn_mono_row_s8(const nn_mono_row_t *p, int8_t *output);

/* scratch: 32 bytes a channel, then 3 * row_bytes. */
void nn_conv_2d_mono_s8(const nn_mono_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
