/* What the kernels of windows along lines have in common, for machines without their instructions.
 */
#ifndef NN_LINES_H
#define NN_LINES_H

#include "nn_depthwise.h"
#include "nn_sign.h"

/* Tap k of row `row` of `rows` of a channel; the lanes of the last group may begin before its first
 * channel. */
static inline int32_t nn_row_tap(const nn_lines_t *p, int32_t rows, int32_t row, int32_t k,
                                 int32_t c)
{
    const int32_t group = c / NN_GROUP;
    const int32_t lane = c - nn_min(group * NN_GROUP, p->channels - NN_GROUP);
    const int32_t row_bytes = (p->kernel + 1) / 2 * 2 * NN_GROUP;
    const int8_t *const taps = p->taps + (group * rows + row) * row_bytes;
    return taps[k / 2 * 2 * NN_GROUP + lane / 2 * 4 + k % 2 * 2 + lane % 2];
}

static inline int32_t nn_line_tap(const nn_lines_t *p, int32_t k, int32_t c)
{
    return nn_row_tap(p, 1, 0, k, c);
}

/* Of a sum without its first value. */
static inline int8_t nn_line_output(const nn_lines_t *p, int32_t c, int32_t sum)
{
    const int32_t *const values = p->values + 4 * c;
    if (p->form == NN_SIGN) {
        return nn_sign_output(values[0] / 2 + sum, values[1], values[2], values[3]);
    }
    const int64_t product = (int64_t)nn_wrapping_add(values[0], sum * 256) * values[1];
    const int32_t value = ((int32_t)(product >> 32) + values[2]) >> values[3];
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

#endif
