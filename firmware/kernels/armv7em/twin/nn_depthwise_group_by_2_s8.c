/* What nn_depthwise_group_by_2_s8.S computes, for machines without its instructions. Rounding:
 * double.
 */
#include "nn_depthwise_group.h"

static uint32_t *nn_ring_pair(const nn_depthwise_group_t *g, int32_t column, int32_t slot)
{
    int32_t *const ring = g->scratch + NN_GROUP * NN_CHANNEL_WORDS;
    return (uint32_t *)&ring[column / 2 * NN_RING_PAIR_WORDS + slot * NN_GROUP];
}

/* Row r of two rows of outputs lies in place r, or in 4 - r with an odd pair of rows. Pairs of
 * columns are filled whole. */
static void nn_fill_row(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g, int32_t y,
                        int32_t slot)
{
    const int32_t first = p->pad_w / 2 * 2;
    for (int32_t column = first; column < (p->pad_w + p->inside + 1) / 2 * 2; column++) {
        const int32_t x = column - p->pad_w;
        const bool inside = x >= 0 && x < p->inside && y >= 0 && y < p->height;
        const int8_t *const in = g->input + (y * p->width + x) * p->depth;
        for (int32_t c = NN_GROUP - g->channels; c < NN_GROUP; c++) {
            const int32_t value = inside ? in[c] : p->zero_point;
            uint32_t *const word = nn_ring_pair(g, column, slot) + c;
            const uint32_t half = (uint32_t)value & 0xFFFFU;
            *word = column % 2 ? (*word & 0xFFFFU) | half << 16 : (*word & 0xFFFF0000U) | half;
        }
    }
}

static int8_t nn_by_2_value(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *g,
                            int32_t row, int32_t x, int32_t c)
{
    const int8_t *const taps = g->taps + 10 * c;
    const int32_t scale = p->form == NN_SIGN ? 2 : 1 << taps[9];
    uint32_t sum = (uint32_t)g->values[3 * c];
    for (int32_t i = 0; i < 9; i++) {
        const int32_t r = row % 4 + i / 3;
        const int32_t column = 2 * x + i % 3;
        const uint32_t *const words = nn_ring_pair(g, column, row / 4 % 2 ? 4 - r : r);
        const int32_t value = nn_half(words[NN_GROUP - g->channels + c], column % 2);
        sum += (uint32_t)(taps[i] * scale * value);
    }
    const int32_t requant[3] = {g->values[3 * c + 1], g->values[3 * c + 2], taps[9]};
    return nn_short_value((int32_t)sum, p->form, requant);
}

void nn_depthwise_group_by_2_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group)
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
                nn_by_2_value(p, group, 2 * row, x, c);
        }
    }
}
