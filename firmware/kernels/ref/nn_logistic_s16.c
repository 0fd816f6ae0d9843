/* out[i] = 1 / (1 + exp(-x)) in Q0.15, x = in[i] * multiplier / 2^shift in units of 1 / 12288
 *
 * table[k] is the function at x = k / 24 in Q0.16; between two entries it is a line, beyond the
 * last one 1 or 0. Scratch: none. Rounding: x half up, the output half away from 1/2.
 */
#include "nn_kernels.h"
#include "nn_sigmoid.h"

void nn_logistic_s16(const nn_sigmoid_t *p, const int16_t *input, int16_t *output)
{
    const uint32_t last = INT16_MAX;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t x = nn_sigmoid_argument(p, input[i]);
        const uint32_t size = x < 0 ? 0U - (uint32_t)x : (uint32_t)x;
        const uint32_t q25 = nn_sigmoid_line(p, size, 9, last << 10);
        const uint32_t half = UINT32_C(1) << 9;
        const uint32_t rounded = x >= 0 ? q25 + half : (UINT32_C(1) << 25) - q25 + half - 1U;
        output[i] = (int16_t)(rounded >> 10);
    }
}
