/* out[i] = tanh(x) = 2 / (1 + exp(-2x)) - 1 in Q0.15, x = in[i] * multiplier / 2^shift in units of
 * 1 / 12288
 *
 * table[k] is the logistic function at 2x = k / 24 in Q0.16; between two entries it is a line,
 * beyond the last one 1. Scratch: none. Rounding: x half up, the output half away from zero.
 */
#include "nn_kernels.h"
#include "nn_sigmoid.h"

void nn_tanh_s16(const nn_sigmoid_t *p, const int16_t *input, int16_t *output)
{
    const uint32_t last = UINT16_MAX;
    const int32_t half = INT32_C(1) << 23;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t x = nn_sigmoid_argument(p, input[i]);
        const uint32_t size = x < 0 ? 0U - (uint32_t)x : (uint32_t)x;
        const int32_t q24 = (int32_t)nn_sigmoid_line(p, size, 8, last << 8);
        const int32_t rounded = x >= 0 ? q24 - half + 128 : half - q24 + 127;
        output[i] = (int16_t)(rounded >> 8);
    }
}
