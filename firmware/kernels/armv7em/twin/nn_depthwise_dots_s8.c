/* What nn_depthwise_dots_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_depthwise_1d.h"

void nn_depthwise_dots_s8(const nn_depthwise_1d_t *p, const nn_depthwise_group_t *group)
{
    const int32_t unused = NN_GROUP - group->channels;
    for (int32_t i = 0; i < p->lines * p->outputs; i++) {
        const int8_t *const in =
            group->input + i / p->outputs * p->input_line + i % p->outputs * p->stride;
        int8_t *const out =
            group->output + i / p->outputs * p->output_line + i % p->outputs * p->output_step;
        for (int32_t c = 0; c < group->channels; c++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < p->kernel; k++) {
                sum += in[k * p->input_step + unused + c] * nn_1d_tap(group, k, unused + c);
            }
            out[c] = nn_1d_output(p, group->values + 4 * c, sum);
        }
    }
}
