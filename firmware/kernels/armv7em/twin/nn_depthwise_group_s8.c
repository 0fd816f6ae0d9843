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

/* Rows 2 * pair and 2 * pair + 1 of the padded image go into the ring. */
static void nn_fill_pair(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                         int32_t pair)
{
    for (int32_t x = 0; x < p->inside; x++) {
        uint32_t *const column = g->ring + (x + p->pad_w) * NN_PAIR_SLOTS * NN_GROUP;
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
        for (int32_t slot = pair % 2; slot < NN_PAIR_SLOTS; slot += 2) {
            for (int32_t c = 0; c < NN_GROUP; c++) {
                column[slot * NN_GROUP + c] =
                    ((uint32_t)pixels[0][c] & 0xFFFFU) | ((uint32_t)pixels[1][c] << 16);
            }
        }
    }
}

void nn_depthwise_group_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g)
{
    nn_fill_pair(p, g, 0);
    for (int32_t y = 0; y < p->output.h; y += 2) {
        nn_fill_pair(p, g, y / 2 + 1);
        for (int32_t i = 0; i < p->output.w * g->channels; i++) {
            const int32_t x = i / g->channels;
            const int32_t c = i % g->channels;
            const int32_t *const words = g->stream + c * NN_CHANNEL_WORDS;
            const uint32_t *in =
                g->ring + (x * NN_PAIR_SLOTS + y / 2 % 2) * NN_GROUP + c + NN_GROUP - g->channels;
            uint32_t sums[2] = {(uint32_t)words[6], (uint32_t)words[6]};
            for (int32_t kx = 0; kx < 3; kx++, in += NN_PAIR_SLOTS * NN_GROUP) {
                const uint32_t w01 = (uint32_t)words[2 * kx];
                const uint32_t w12 = (uint32_t)words[2 * kx + 1];
                sums[0] += nn_products(w01, in[0]) + nn_product(w12, 1, in[NN_GROUP], 0);
                sums[1] += nn_product(w01, 0, in[0], 1) + nn_products(w12, in[NN_GROUP]);
            }
            for (int32_t row = 0; row < 2 && y + row < p->output.h; row++) {
                g->output[((y + row) * p->output.w + x) * p->input.c + c] =
                    nn_short_value(sums[row], p->form, words + 7);
            }
        }
    }
}
