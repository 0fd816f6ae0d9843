/* out[i] = 1 / (1 + exp(-x)) in Q0.15, x = in[i] * multiplier / 2^shift in units of 1 / 12288
 *
 * See nn_sigmoid.h. Scratch: none. Rounding: x half up, the output half away from 1/2.
 */
#include "nn_kernels.h"
#include "nn_sigmoid.h"

void nn_logistic_s16(const nn_sigmoid_t *p, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t x = nn_sigmoid_argument(input[i], p->multiplier, p->right_shift);
        output[i] = nn_logistic(p->table, x);
    }
}
