/* What nn_depthwise_group_s8.S computes, for machines without its instructions. Rounding: double.
 */
#include <string.h>

#include "nn_packed.h"

static int32_t nn_half(uint32_t word, int32_t high)
{
    return (int16_t)(high ? word >> 16 : word & 0xFFFFU);
}

static uint32_t nn_product(uint32_t a, int32_t high_a, uint32_t b, int32_t high_b)
{
    return (uint32_t)(nn_half(a, high_a) * nn_half(b, high_b));
}

/* Both rows at once. */
static uint32_t nn_products(uint32_t a, uint32_t b)
{
    return nn_product(a, 0, b, 0) + nn_product(a, 1, b, 1);
}

static int8_t nn_short_value(uint32_t sum, nn_form_t form, const int32_t *requant)
{
    const int32_t scaled = (int32_t)sum;
    const int64_t product = (int64_t)scaled * requant[0] + (form == NN_SIGN ? INT64_C(1) << 31 : 0);
    const int32_t sign = form == NN_SIGN && scaled < 0 ? -1 : 0;
    const int32_t shift = form == NN_SIGN ? requant[2] : 12;
    const int32_t value = ((int32_t)(product >> 32) + sign + requant[1]) >> shift;
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
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
            const int8_t *const in = g->input + (y * p->input.w + x) * p->input.c;
            memset(pixels[i], p->pad_word & 0xFF, NN_GROUP);
            if (y >= 0 && y < p->input.h) {
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

/* Outputs of channel c in rows y and, if it exists, y + 1. */
static void nn_two_outputs(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g, int32_t y,
                           int32_t x, int32_t c)
{
    const int32_t *const words = g->scratch + c * NN_CHANNEL_WORDS;
    uint32_t sums[2] = {(uint32_t)words[6], (uint32_t)words[6]};
    for (int32_t kx = 0; kx < 3; kx++) {
        const int32_t lane = NN_GROUP - g->channels + c;
        const int32_t *const in = nn_ring_column(g, x + kx) + y / 2 % 2 * NN_GROUP + lane;
        const uint32_t w01 = (uint32_t)words[2 * kx];
        const uint32_t w12 = (uint32_t)words[2 * kx + 1];
        const uint32_t pairs[2] = {(uint32_t)in[0], (uint32_t)in[NN_GROUP]};
        sums[0] += nn_products(w01, pairs[0]) + nn_product(w12, 1, pairs[1], 0);
        sums[1] += nn_product(w01, 0, pairs[0], 1) + nn_products(w12, pairs[1]);
    }
    for (int32_t row = 0; row < 2 && y + row < p->output.h; row++) {
        g->output[((y + row) * p->output.w + x) * p->input.c + c] =
            nn_short_value(sums[row], p->form, words + 7);
    }
}

void nn_depthwise_group_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g)
{
    for (int32_t c = 0; c < g->channels; c++) {
        nn_expand_channel(p, g, c);
    }
    nn_fill_pair(p, g, 0);
    for (int32_t y = 0; y < p->output.h; y += 2) {
        nn_fill_pair(p, g, y / 2 + 1);
        for (int32_t i = 0; i < p->output.w * g->channels; i++) {
            nn_two_outputs(p, g, y, i / g->channels, i % g->channels);
        }
    }
}
