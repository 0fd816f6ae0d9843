/* What nn_line_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_split.h"
#include "nn_trio.h"

#define OUTPUTS 4   /* of a group */
#define WEIGHTS 3   /* of a segment */
#define HALFWORDS 4 /* of a segment */

void nn_line_s8(const nn_line_t *line, const nn_line_channel_t *channel, const uint8_t *x,
                int8_t *output)
{
    const int16_t *const weights = (const int16_t *)(const void *)(channel + 1);
    for (int32_t group = 0; group < line->groups; group++) {
        int8_t *out = output;
        int8_t results[OUTPUTS];
        for (int32_t i = 0; i < OUTPUTS; i++) {
            const uint8_t *in = x + i * line->stride;
            int32_t sum = channel->first;
            for (int32_t s = 0; s < line->segments; s++) {
                const int16_t *segment = weights + HALFWORDS * s;
                for (int32_t k = 0; k < WEIGHTS; k++) {
                    sum += segment[k] * in[k];
                }
                in += segment[WEIGHTS];
            }
            results[i] = nn_exact_output(sum, 0, &channel->exact);
        }
        out += line->outputs[0] + line->outputs[1] + line->outputs[2];
        for (int32_t i = OUTPUTS - 1; i > 0; i--) {
            *out = results[i]; /* a line shorter than four: the last that exists is stored last */
            out -= line->outputs[i - 1];
        }
        *out = results[0];
        const int32_t *const move = group == line->groups - 2 ? line->last : line->next;
        x += move[0];
        output += move[1];
    }
}
