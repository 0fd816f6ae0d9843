/* Depthwise kernels on packed weights beside those of nn_packed.h, four channels at a time. */
#ifndef NN_DEPTHWISE_H
#define NN_DEPTHWISE_H

#include "nn_packed.h"

/* Windows along one line of inputs, which may be a column, a row, or all pixels of an image.
 *
 * A group of four channels has (kernel + 1) / 2 pairs of taps: eight bytes each, of taps t and
 * t + 1 of channels 0 and 1, (t, 0), (t, 1), (t + 1, 0), (t + 1, 1), then the same of channels 2
 * and 3. Behind an odd last tap lies a zero. The last group of channels that are no multiple of
 * four is that of the last four; those that another group has are left alone. */
typedef struct nn_depthwise_1d nn_depthwise_1d_t;
struct nn_depthwise_1d {
    int32_t images, lines, channels; /* channels: at least 4 */
    int32_t inputs, outputs, kernel; /* of a line; taps of a window */
    int32_t input_step, output_step; /* bytes from one of a line to the next */
    int32_t input_line, output_line; /* and from a line to the next */
    int32_t input_image, output_image;
    int32_t stride;   /* bytes from a window to the next */
    int32_t pad;      /* inputs before a line */
    int32_t pad_word; /* four bytes, each the input's zero point */
    int32_t pairs;    /* of inputs of a padded line */
    nn_form_t form;   /* NN_FLOOR or NN_SIGN */
    const int8_t *taps;
    const int32_t *values; /* [c][4]: first value of the sum << p, multiplier, constant, shift */
    void (*group)(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *group);
};

/* One image; p is 8, or 1 in NN_SIGN. Scratch, in words:
 *
 *   8 each pair of taps, and one more where the kernel is even: for each channel taps (2k, 2k + 1)
 *     and (2k, 2k - 1), shifted left by p
 *   4 each pair of inputs: a word a channel
 *
 * stride is input_step. The output may lie on the input. */
void nn_depthwise_lines_s8(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *group);

/* One image, each output on its own: any stride, no padding, no scratch. */
void nn_depthwise_dots_s8(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *group);

/* scratch: 32 * (kernel / 2 + 1) + 16 * pairs bytes. */
void nn_depthwise_conv_1d_s8(const nn_depthwise_1d_t *p, const int8_t *input, int8_t *output,
                             int8_t *scratch);

#endif
