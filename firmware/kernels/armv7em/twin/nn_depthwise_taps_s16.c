/* What nn_depthwise_taps_s16.S computes, for machines without its instructions. Rounding: wide. */
#include "nn_wide_pair.h"

/* Where the byte of channel 0, 1, 2, 3 lies in a word of weights. */
static const int32_t nn_lanes[NN_LANES] = {0, 2, 1, 3};

static int16_t nn_taps_output(const nn_depthwise_taps_t *p, const nn_taps_t *taps,
                              const int16_t *input, const int32_t *group, int32_t lane)
{
    const int32_t *const requant = group + NN_LANES + p->taps;
    const int32_t pair = requant[lane / 2];
    uint32_t sum = (uint32_t)group[lane];
    for (int32_t row = 0; row < taps->rows; row++) {
        for (int32_t run = 0; run < taps->runs; run++) {
            const int32_t at = taps->weight + row * taps->weight_row + run;
            const int32_t weight = nn_wide_byte((uint32_t)group[NN_LANES + at], nn_lanes[lane]);
            sum += (uint32_t)(weight * input[row * taps->input_row + run * taps->input_run + lane]);
        }
    }
    return nn_wide_output((int32_t)sum, lane % 2 ? pair >> 16 : (int16_t)(pair & 0xFFFF),
                          requant[2 + lane], (requant[6] >> (8 * lane)) & 0xFF, p->form);
}

void nn_depthwise_taps_s16(const nn_depthwise_taps_t *p, const nn_taps_t *taps,
                           const int16_t *input, int16_t *output)
{
    const int32_t *group = p->stream;
    for (int32_t c = 0; c < p->channels; c += NN_LANES) {
        const int32_t first = nn_min(c, p->channels - NN_LANES);
        for (int32_t lane = 0; lane < NN_LANES; lane++) {
            output[first + lane] = nn_taps_output(p, taps, input + first, group, lane);
        }
        group += NN_WIDE_GROUP_WORDS + p->taps;
    }
}
