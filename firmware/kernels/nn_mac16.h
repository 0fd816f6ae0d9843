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
 * output = value >> shift */
typedef struct {
    nn_mac_t mac;
    int32_t below, least, most;
} nn_mac_kept_t;

#define NN_MAC_KEPT 32
#define NN_MAC_STEP 4 /* inputs */

/* Windows side by side times all channels. The stream holds for each channel its numbers, then its
 * weights as halfwords, in the order of the inputs; a word behind the last channel. */
typedef struct {
    const int32_t *stream;
    int32_t channels;
    int32_t steps;       /* of NN_MAC_STEP inputs in a window */
    int32_t gap;         /* bytes from a window's end to the next one's begin: 0, or below */
    int32_t output_step; /* bytes from one window's outputs to the next one's */
} nn_windows_t;

/* A convolution of single pixels, each of whole words of inputs. */
typedef struct {
    nn_windows_t windows;
    int32_t images_pixels; /* of all images */
    int32_t at_once;       /* pixels in scratch */
    int32_t input_depth;
} nn_conv_pixels_t;

/* x: inputs plus 128 as halfwords, and a word behind the last window. */
void nn_windows_s8(const nn_windows_t *p, const int16_t *x, int8_t *output, int32_t count);

/* Four bytes of each word as halfwords, each plus 128, in the order 0, 2, 1, 3; `columns` times
 * `words` of them, `step` bytes from the halfwords of one column to those of the next. */
void nn_widen_columns_s8(const int8_t *from, int16_t *to, int32_t words, int32_t columns,
                         int32_t step);

/* scratch: 2 * at_once * input_depth + 4 bytes. The output may lie on the input where
 * quantize/lowering says so. */
void nn_conv_2d_pixels_s8(const nn_conv_pixels_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch);

#endif
