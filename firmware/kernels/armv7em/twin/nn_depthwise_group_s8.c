/* What nn_depthwise_group_s8.S computes, for machines without its instructions. Rounding: double.
 */
#include <string.h>

#include "nn_depthwise_group.h"

static uint32_t nn_product(uint32_t a, int32_t high_a, uint32_t b, int32_t high_b)
{
    return (uint32_t)(nn_half(a, high_a) * nn_half(b, high_b));
}

/* Both rows at once. */
static uint32_t nn_products(uint32_t a, uint32_t b)
{
    return nn_product(a, 0, b, 0) + nn_product(a, 1, b, 1);
}

static void nn_expand_channel(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                              int32_t channel)
{
    const int8_t *const taps = g->taps + 10 * channel;
    int32_t *const words = g->scratch + channel * NN_CHANNEL_WORDS;
    const int32_t scale = p->form == NN_SIGN ? 2 : 1 << taps[9];
    for (int32_t kx = 0; kx < 3; kx++) {
        for (int32_t i = 0; i < 2; i++) {
            const int32_t low = taps[3 * i + kx] * scale;
            const int32_t high = taps[3 * i + 3 + kx] * scale;
            words[2 * kx + i] = (low & 0xFFFF) + high * 65536;
        }
    }
    memcpy(words + 6, g->values + 3 * channel, 12);
    words[9] = taps[9];
}

static int32_t *nn_ring_column(const nn_depthwise_group_t *g, int32_t x)
{
    return g->scratch + NN_GROUP * NN_CHANNEL_WORDS + x * NN_COLUMN_WORDS;
}

/* Rows 2 * pair and 2 * pair + 1 of the padded image go into the ring. */
static void nn_fill_pair(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
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
                column[slot * NN_GROUP + c] = (pixels[0][c] & 0xFFFF) + pixels[1][c] * 65536;
            }
        }
    }
}

/* The output of channel c whose window starts so in the padded image. */
static int8_t nn_depthwise_value(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                                 int32_t first_row, int32_t first_column, int32_t c)
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
    return nn_short_value((int32_t)sum, p->form, words + 7);
}

void nn_depthwise_group_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group)
{
    for (int32_t c = 0; c < group->channels; c++) {
        nn_expand_channel(p, group, c);
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
                nn_depthwise_value(p, group, y, x, c);
        }
    }
}
