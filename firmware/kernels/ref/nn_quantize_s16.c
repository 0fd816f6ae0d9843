/* out[i] = clamp(zp + round(in[i] / scale))
 *
 * The quotient of single precision, bit by bit from the bits of both floats, because a table of
 * 65535 thresholds as that of nn_quantize_s8 would not fit. Subnormal inputs count as 0, which the
 * scale makes of them anyhow. Where int32 does not hold the rounded quotient, and for infinities
 * and NaN, TFLite Micro's cast is undefined: here larger ones saturate, NaN becomes -32768.
 * Scratch: none.
 * Rounding: the quotient to nearest even in 24 bits, then half away from zero.
 */
#include "nn_kernels.h"
#include "nn_math.h"

#define NN_BEYOND 65536 /* every zero point saturates here */

/* a / b for floats in [1, 2) as integers of 24 bits, 2^23 .. 2^24 in units of 2^-23; a >= b. */
static uint32_t nn_divide_mantissas(uint32_t a, uint32_t b)
{
    uint32_t quotient = 0;
    for (int32_t bit = 0; bit < 24; bit++) {
        const uint32_t one = a >= b ? 1U : 0U;
        quotient = (quotient << 1) | one;
        a = (a - (one ? b : 0U)) << 1;
    }
    return quotient + (a > b || (a == b && (quotient & 1U)) ? 1U : 0U);
}

/* The size of in / scale, rounded; at most NN_BEYOND. Both are normal. */
static int32_t nn_round_quotient(uint32_t in, uint32_t scale)
{
    const uint32_t one = UINT32_C(1) << 23;
    const uint32_t b = (scale & (one - 1U)) | one;
    uint32_t a = (in & (one - 1U)) | one;
    int32_t exponent = (int32_t)(in >> 23) - (int32_t)(scale >> 23);
    if (a < b) {
        a <<= 1;
        exponent--;
    }
    if (exponent < -2 || exponent > 15) {
        return exponent < 0 ? 0 : NN_BEYOND;
    }
    const int32_t shift = 23 - exponent;
    return (int32_t)((nn_divide_mantissas(a, b) + (UINT32_C(1) << (shift - 1))) >> shift);
}

static int32_t nn_quantize_bits(uint32_t bits, uint32_t scale)
{
    const uint32_t size = bits & INT32_MAX;
    const uint32_t infinity = UINT32_C(255) << 23;
    if (size > infinity) {
        return -NN_BEYOND; /* NaN */
    }
    if (size < UINT32_C(1) << 23) {
        return 0;
    }
    const int32_t value = size == infinity ? NN_BEYOND : nn_round_quotient(size, scale);
    return bits == size ? value : -value;
}

void nn_quantize_s16(const nn_float_edge_t *p, const float *input, int16_t *output)
{
    const nn_alias_f32_t *const from = input;
    nn_alias_s16_t *const to = output; /* in place too */
    for (int32_t i = 0; i < p->count; i++) {
        const union {
            float value;
            uint32_t bits;
        } as = {from[i]};
        const int32_t value = nn_quantize_bits(as.bits, p->scale_bits) + p->zero_point;
        to[i] = nn_clamp_s16(value, INT16_MIN, INT16_MAX);
    }
}
