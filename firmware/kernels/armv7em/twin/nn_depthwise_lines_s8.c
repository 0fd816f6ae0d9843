/* What nn_depthwise_lines_s8.S computes, for machines without its instructions. Rounding: double.
 */
#include "nn_depthwise_1d.h"

/* The word with input t of a padded line, in scratch behind the weights. */
static uint32_t *nn_1d_pair(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *g, int32_t t,
                            int32_t lane)
{
    int32_t *const line = g->scratch + (p->kernel / 2 + 1) * 2 * NN_GROUP;
    return (uint32_t *)&line[t / 2 * NN_GROUP + lane];
}

static void nn_1d_widen(uint32_t *pair, int32_t t, int8_t value)
{
    const uint32_t half = (uint32_t)value & 0xFFFFU;
    *pair = t % 2 ? (*pair & 0xFFFFU) | half << 16 : (*pair & 0xFFFF0000U) | half;
}

static void nn_1d_line(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *g, int32_t line)
{
    const int32_t unused = NN_GROUP - g->channels;
    for (int32_t t = 0; t < p->inputs; t++) {
        const int8_t *const in = g->input + line * p->input_line + t * p->input_step;
        for (int32_t lane = unused; lane < NN_GROUP; lane++) {
            nn_1d_widen(nn_1d_pair(p, g, p->pad + t, lane), p->pad + t, in[lane]);
        }
    }
    for (int32_t t = 0; t < p->outputs; t++) {
        int8_t *const out = g->output + line * p->output_line + t * p->output_step;
        for (int32_t c = 0; c < g->channels; c++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < p->kernel; k++) {
                const uint32_t pair = *nn_1d_pair(p, g, t + k, unused + c);
                sum += (int16_t)(pair >> ((t + k) % 2 * 16)) * nn_1d_tap(g, k, unused + c);
            }
            out[c] = nn_1d_output(p, g->values + 4 * c, sum);
        }
    }
}

void nn_depthwise_lines_s8(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *group)
{
    for (int32_t line = 0; line < p->lines; line++) {
        nn_1d_line(p, group, line);
    }
}
