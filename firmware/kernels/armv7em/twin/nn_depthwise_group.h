/* What the kernels of 3 x 3 have in common, for machines without their instructions: a group of
 * channels with either stride, for either form. Rounding: double.
 */
#ifndef NN_DEPTHWISE_GROUP_H
#define NN_DEPTHWISE_GROUP_H

#include <string.h>

#include "nn_packed.h"
#include "nn_sign.h"

#define NN_TAPS 9 /* of a channel */

/* Two words of a channel of a group. */
static inline const int32_t *nn_group_values(const nn_depthwise_group_t *g, int32_t channel)
{
    return g->stream + 2 * channel;
}

static inline int32_t nn_group_tap(const nn_depthwise_group_t *g, int32_t channel, int32_t tap)
{
    const int8_t *const taps = (const int8_t *)(g->stream + 2 * g->channels);
    return taps[NN_TAPS * channel + tap];
}

/* By which they are shifted. */
static inline int32_t nn_weight_bits(const nn_depthwise_group_t *g, int32_t channel)
{
    return (int32_t)nn_weight_shift(nn_group_values(g, channel)[1]);
}

static inline uint32_t nn_input_half(int32_t input)
{
    return ((uint32_t)input & 0xFFU) << 8;
}

static inline int32_t nn_half(uint32_t word, int32_t high)
{
    return (int16_t)(high ? word >> 16 : word & 0xFFFFU);
}

/* Of a sum that is shifted left. */
static inline int8_t nn_group_output(const nn_depthwise_packed_t *p, const int32_t *values,
                                     int32_t sum, bool sign)
{
    if (sign) {
        const int32_t shift = values[0] & 0xFF;
        const int32_t constant = (2 * p->out_zero_point + 1) * (1 << shift) >> 1;
        return nn_sign_output(sum >> NN_SIGN_BITS, values[1], constant, shift);
    }
    const int64_t product = (int64_t)sum * nn_plain_multiplier(values[1]);
    const int32_t start = p->out_zero_point * (1 << NN_CODE_BITS);
    const int32_t value = (start + (int32_t)(product >> 32)) >> NN_CODE_BITS;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

static inline uint32_t nn_product(uint32_t a, int32_t high_a, uint32_t b, int32_t high_b)
{
    return (uint32_t)(nn_half(a, high_a) * nn_half(b, high_b));
}

/* Both rows at once. */
static inline uint32_t nn_products(uint32_t a, uint32_t b)
{
    return nn_product(a, 0, b, 0) + nn_product(a, 1, b, 1);
}

static inline void nn_expand_channel(const nn_depthwise_group_t *g, int32_t channel)
{
    int32_t *const words = g->scratch + channel * NN_CHANNEL_WORDS;
    const int32_t scale = 1 << nn_weight_bits(g, channel);
    for (int32_t kx = 0; kx < 3; kx++) {
        for (int32_t i = 0; i < 2; i++) {
            const int32_t low = nn_group_tap(g, channel, 3 * i + kx) * scale;
            const int32_t high = nn_group_tap(g, channel, 3 * i + 3 + kx) * scale;
            words[2 * kx + i] = (low & 0xFFFF) + high * 65536;
        }
    }
    memcpy(words + 6, nn_group_values(g, channel), 8);
}

static inline int32_t *nn_ring_column(const nn_depthwise_group_t *g, int32_t x)
{
    return g->scratch + NN_GROUP * NN_CHANNEL_WORDS + x * NN_COLUMN_WORDS;
}

/* Rows 2 * pair and 2 * pair + 1 of the padded image go into the ring. */
static inline void nn_fill_pair(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                                int32_t pair)
{
    for (int32_t x = 0; x < p->inside; x++) {
        int32_t *const column = nn_ring_column(g, x + p->pad_w);
        int8_t pixels[2][NN_GROUP];
        for (int32_t i = 0; i < 2; i++) {
            const int32_t y = 2 * pair + i - p->pad_h;
            const int8_t *const in = g->input + (y * p->width + x) * p->depth;
            memset(pixels[i], p->zero_point, NN_GROUP);
            if (y >= 0 && y < p->height) {
                const int32_t unused = NN_GROUP - g->channels;
                memcpy(pixels[i] + unused, in + unused, (size_t)g->channels);
            }
        }
        for (int32_t slot = pair % 2; slot * NN_GROUP < NN_COLUMN_WORDS; slot += 2) {
            for (int32_t c = 0; c < NN_GROUP; c++) {
                const uint32_t both = nn_input_half(pixels[0][c]) | nn_input_half(pixels[1][c])
                                                                        << 16;
                column[slot * NN_GROUP + c] = (int32_t)both;
            }
        }
    }
}

/* The output of channel c whose window starts so in the padded image. */
static inline int8_t nn_depthwise_value(const nn_depthwise_packed_t *p,
                                        const nn_depthwise_group_t *g, int32_t first_row,
                                        int32_t first_column, int32_t c, bool sign)
{
    const int32_t *const words = g->scratch + c * NN_CHANNEL_WORDS;
    const int32_t lane = first_row / 2 % 2 * NN_GROUP + NN_GROUP - g->channels + c;
    uint32_t sum = (uint32_t)words[6];
    for (int32_t kx = 0; kx < 3; kx++) {
        const int32_t *const in = nn_ring_column(g, first_column + kx) + lane;
        const uint32_t w01 = (uint32_t)words[2 * kx];
        const uint32_t w12 = (uint32_t)words[2 * kx + 1];
        const uint32_t pairs[2] = {(uint32_t)in[0], (uint32_t)in[NN_GROUP]};
        sum += first_row % 2 ? nn_product(w01, 0, pairs[0], 1) + nn_products(w12, pairs[1])
                             : nn_products(w01, pairs[0]) + nn_product(w12, 1, pairs[1], 0);
    }
    return nn_group_output(p, words + 6, (int32_t)sum, sign);
}

static inline void nn_group(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group,
                            bool sign)
{
    for (int32_t c = 0; c < group->channels; c++) {
        nn_expand_channel(group, c);
    }
    nn_fill_pair(p, group, 0);
    for (int32_t y = 0; y < p->out_height; y++) {
        if (y % 2 == 0) {
            nn_fill_pair(p, group, y / 2 + 1);
        }
        for (int32_t i = 0; i < p->out_width * group->channels; i++) {
            const int32_t x = i / group->channels;
            const int32_t c = i % group->channels;
            group->output[(y * p->out_width + x) * p->depth + c] =
                nn_depthwise_value(p, group, y, x, c, sign);
        }
    }
}

static inline uint32_t *nn_ring_pair(const nn_depthwise_group_t *g, int32_t column, int32_t slot)
{
    int32_t *const ring = g->scratch + NN_GROUP * NN_CHANNEL_WORDS;
    return (uint32_t *)&ring[column / 2 * NN_RING_PAIR_WORDS + slot * NN_GROUP];
}

/* Row r of two rows of outputs lies in place r, or in 4 - r with an odd pair of rows. Pairs of
 * columns are filled whole. */
static inline void nn_fill_row(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                               int32_t y, int32_t slot)
{
    const int32_t first = p->pad_w / 2 * 2;
    for (int32_t column = first; column < (p->pad_w + p->inside + 1) / 2 * 2; column++) {
        const int32_t x = column - p->pad_w;
        const bool inside = x >= 0 && x < p->inside && y >= 0 && y < p->height;
        const int8_t *const in = g->input + (y * p->width + x) * p->depth;
        for (int32_t c = NN_GROUP - g->channels; c < NN_GROUP; c++) {
            const int32_t value = inside ? in[c] : p->zero_point;
            uint32_t *const word = nn_ring_pair(g, column, slot) + c;
            const uint32_t half = nn_input_half(value);
            *word = column % 2 ? (*word & 0xFFFFU) | half << 16 : (*word & 0xFFFF0000U) | half;
        }
    }
}

static inline int8_t nn_by_2_value(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                                   int32_t row, int32_t x, int32_t c, bool sign)
{
    const int32_t *const values = nn_group_values(g, c);
    uint32_t sum = (uint32_t)values[0];
    for (int32_t i = 0; i < NN_TAPS; i++) {
        const int32_t r = row % 4 + i / 3;
        const int32_t column = 2 * x + i % 3;
        const uint32_t *const words = nn_ring_pair(g, column, row / 4 % 2 ? 4 - r : r);
        const int32_t value = nn_half(words[NN_GROUP - g->channels + c], column % 2);
        sum += (uint32_t)(nn_group_tap(g, c, i) * (1 << nn_weight_bits(g, c)) * value);
    }
    return nn_group_output(p, values, (int32_t)sum, sign);
}

static inline void nn_group_by_2(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group,
                                 bool sign)
{
    int32_t loaded = 0;
    for (int32_t y = 0; y < p->out_height; y += 2) {
        const int32_t rows = nn_min(2, p->out_height - y);
        for (; loaded < 2 * (y + rows) + 1; loaded++) {
            const int32_t r = loaded == 0 ? 0 : (loaded - 1) % 4 + 1;
            nn_fill_row(p, group, loaded - p->pad_h, y / 2 % 2 ? 4 - r : r);
        }
        for (int32_t i = 0; i < rows * p->out_width * group->channels; i++) {
            const int32_t row = y + i / group->channels / p->out_width;
            const int32_t x = i / group->channels % p->out_width;
            const int32_t c = i % group->channels;
            group->output[(row * p->out_width + x) * p->depth + c] =
                nn_by_2_value(p, group, 2 * row, x, c, sign);
        }
    }
}

#endif
