/* What nn_nine_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_mac.h"

void nn_nine_s8(const nn_nine_t *p, const nn_mac_t *mac, const int16_t *plane, int8_t *output)
{
    const int16_t *const weights = nn_mac_weights(mac);
    const int32_t stride = 1 + p->is_by_2;
    for (int32_t line = 0; line < p->lines; line++) {
        for (int32_t i = 0; i < p->outputs; i++) {
            int32_t sum = mac->first;
            for (int32_t k = 0; k < 9; k++) {
                const int32_t at = i * stride + k % 3;
                const int32_t pair = at / 2 * (p->pair_step / 2);
                sum = nn_mac_sum(sum, plane + pair + 2 * (k / 3) + at % 2, weights + k, 1);
            }
            *output = nn_mac_output(mac, sum);
            output += p->output_step;
        }
        plane += p->line_inputs / 2;
        output += p->line_outputs;
    }
}
