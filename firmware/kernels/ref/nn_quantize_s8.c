/* out[i] = the number of thresholds that in[i] reaches, minus 128
 *
 * thresholds[k] is the smallest float that quantises to at least k - 127, found when the code is
 * generated; quantisation is monotonic, so this equals clamp(zp + round(in / scale)) wherever int32
 * holds the rounded quotient. Beyond, and for infinities and NaN, TFLite Micro's cast is undefined:
 * here larger ones saturate, NaN with a clear sign bit becomes 127, with a set one -128. Floats are
 * compared by their bits, in the order of nn_float_order.
 * Scratch: none. Rounding: half away from zero.
 */
#include "nn_kernels.h"

/* The bits of a float as an integer that is ordered as the floats are. */
static int32_t nn_float_order(float value)
{
    const union {
        float value;
        int32_t bits;
    } as = {value};
    return as.bits >= 0 ? as.bits : as.bits ^ INT32_MAX;
}

void nn_quantize_s8(const nn_quantize_t *p, const float *input, int8_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t order = nn_float_order(input[i]);
        int32_t reached = 0; /* of 255: sums of the steps 128, 64 .. 1 */
        for (int32_t step = 128; step > 0; step >>= 1) {
            if (order >= p->thresholds[reached + step - 1]) {
                reached += step;
            }
        }
        output[i] = (int8_t)(reached - 128);
    }
}
