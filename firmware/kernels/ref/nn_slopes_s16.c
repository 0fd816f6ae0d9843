/* out[i] = clamp(x >= 0 ? requant(x) : negative_requant(sign * x)), x = in[i]
 *
 * A line for each sign of x: RELU, RELU6, LEAKY_RELU and ABS (sign -1). Zero points are 0.
 * Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

void nn_slopes_s16(const nn_slopes_t *p, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t x = input[i];
        const int32_t value = x >= 0 ? nn_requantize(x, p->requant)
                                     : nn_requantize(p->negative_sign * x, p->negative_requant);
        output[i] = nn_clamp_s16(value, p->act_min, p->act_max);
    }
}
