/* out[i] = tanh(x) = 2 / (1 + exp(-2x)) - 1 in Q0.15, x = in[i] * multiplier / 2^shift in units of
 * 1 / 12288
 *
 * See nn_sigmoid.h. Scratch: none. Rounding: x half up, the output half away from zero.
 */
#include "nn_kernels.h"
#include "nn_sigmoid.h"

void nn_tanh_s16(const nn_sigmoid_t *p, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t x = nn_sigmoid_argument(input[i], p->multiplier, p->right_shift);
        output[i] = nn_tanh(p->table, x);
    }
}
