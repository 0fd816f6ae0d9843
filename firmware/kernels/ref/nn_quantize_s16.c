/* out[i] = clamp(zp + round(in[i] / scale))
 *
 * One division in single precision for each element: a table of 65535 thresholds would not fit, as
 * that of nn_quantize_s8 does. NaN becomes -32768. Scratch: none.
 * Rounding: the quotient to nearest even, then half away from zero.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_round_quotient(float quotient)
{
    const float limit = 65536.0F; /* beyond, every zero point saturates */
    if (quotient >= limit) {
        return (int32_t)limit;
    }
    if (!(quotient > -limit)) {
        return -(int32_t)limit;
    }
    const int32_t whole = (int32_t)quotient;
    const float rest = quotient - (float)whole; /* exact */
    if (rest >= 0.5F) {
        return whole + 1;
    }
    return rest <= -0.5F ? whole - 1 : whole;
}

void nn_quantize_s16(const nn_float_edge_t *p, const float *input, int16_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t value = nn_round_quotient(input[i] / p->scale) + p->zero_point;
        output[i] = nn_clamp_s16(value, INT16_MIN, INT16_MAX);
    }
}
