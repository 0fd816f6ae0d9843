/* Depthwise 3 x 3 of int16 over rows in scratch, for the twins of both strides. Rounding: wide. */
#ifndef NN_WIDE_GROUP_H
#define NN_WIDE_GROUP_H

#include "nn_wide_pair.h"

#define NN_WIDE_ROWS 5 /* in scratch, each of four channels a column */

static inline nn_alias_s16_t *nn_wide_row(const nn_depthwise_group_t *g, int32_t columns,
                                          int32_t row)
{
    int32_t *const ring = g->scratch + NN_GROUP * NN_WIDE_CHANNEL_WORDS;
    return (nn_alias_s16_t *)ring + row % NN_WIDE_ROWS * columns * NN_GROUP;
}

static inline void nn_wide_fill(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                                int32_t columns, int32_t row)
{
    const int32_t y = row - p->pad_h;
    const bool inside = y >= 0 && y < p->height;
    const nn_alias_s16_t *in = (const nn_alias_s16_t *)(const void *)g->input;
    in += inside ? y * p->width * p->depth : 0;
    nn_alias_s16_t *to = nn_wide_row(g, columns, row) + p->pad_w * NN_GROUP;
    for (int32_t x = 0; x < p->inside; x++) {
        for (int32_t c = NN_GROUP - g->channels; c < NN_GROUP; c++) {
            to[c] = inside ? in[c] : 0;
        }
        to += NN_GROUP;
        in += p->depth;
    }
}

/* The output of channel c whose window starts so in the padded image. */
static inline int16_t nn_wide_value(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                                    int32_t columns, int32_t row, int32_t column, int32_t c)
{
    const int8_t *const taps = (const int8_t *)(g->stream + 2 * g->channels) + 9 * c;
    const int32_t *const values = g->stream + 2 * c;
    const int32_t shift = values[1] >> 16;
    uint32_t sum = (uint32_t)values[0];
    for (int32_t i = 0; i < 9; i++) {
        const nn_alias_s16_t *const in = nn_wide_row(g, columns, row + i / 3);
        const int32_t at = (column + i % 3) * NN_GROUP + NN_GROUP - g->channels + c;
        sum += (uint32_t)(in[at] * taps[i]);
    }
    return nn_wide_output((int32_t)sum, values[1] & 0xFFFF, 1 << shift >> 1, shift, p->form);
}

/* `columns` of the padded image; two rows of outputs after the rows that they reach. */
static inline void nn_wide_group(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                                 int32_t columns, int32_t stride)
{
    nn_alias_s16_t *const output = (nn_alias_s16_t *)(void *)g->output;
    int32_t loaded = 0;
    for (int32_t y = 0; y < p->out_height; y += 2) {
        const int32_t rows = nn_min(2, p->out_height - y);
        for (; loaded < (y + rows - 1) * stride + 3; loaded++) {
            nn_wide_fill(p, g, columns, loaded);
        }
        for (int32_t i = 0; i < rows * p->out_width * g->channels; i++) {
            const int32_t row = y + i / g->channels / p->out_width;
            const int32_t x = i / g->channels % p->out_width;
            const int32_t c = i % g->channels;
            output[(row * p->out_width + x) * p->depth + c] =
                nn_wide_value(p, g, columns, row * stride, x * stride, c);
        }
    }
}

#endif
