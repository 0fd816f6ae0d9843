/* out[i] = scale * (in[i] - zp), the product of single precision from the bits of the scale
 *
 * Scratch: none. Rounding: to nearest, ties to even.
 */
#include "nn_kernels.h"

/* The bits of scale * size; neither subnormal nor infinite, because the scale is neither. */
static uint32_t nn_multiply_bits(uint32_t scale, uint32_t size)
{
    const uint32_t one = UINT32_C(1) << 23;
    const uint64_t product = (uint64_t)((scale & (one - 1U)) | one) * size;
    uint32_t shift = 0;
    while ((product >> shift) >= 2U * one) {
        shift++;
    }
    const uint32_t kept = (uint32_t)(product >> shift);
    const uint32_t rest = (uint32_t)product & ((UINT32_C(1) << shift) - 1U);
    const uint32_t half = (UINT32_C(1) << shift) >> 1;
    const uint32_t up = rest > half || (shift > 0 && rest == half && (kept & 1U)) ? 1U : 0U;
    return (scale & ~(one - 1U)) + (shift << 23) + (kept - one) + up;
}

void nn_dequantize_s16(const nn_float_edge_t *p, const int16_t *input, float *output)
{
    const uint32_t minus = UINT32_C(1) << 31;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t x = input[i] - p->zero_point;
        const uint32_t size = x < 0 ? 0U - (uint32_t)x : (uint32_t)x;
        const union {
            uint32_t bits;
            float value;
        } as = {(size ? nn_multiply_bits(p->scale_bits, size) : 0U) | (x < 0 ? minus : 0U)};
        output[i] = as.value;
    }
}
