/* Fixed-point arithmetic of the kernels, bit-equal to TFLite Micro's (gemmlowp double rounding).
 * Relies on arithmetic right shift of negative values, which every supported compiler provides.
 */
#ifndef NN_MATH_H
#define NN_MATH_H

#include <stdbool.h>

#include "nn_types.h"

/* The elements of kernels that may run in place, whose input and output are of two types in the
 * same memory; ISO C lets a compiler take accesses through other types for independent. */
#ifdef __GNUC__
#define NN_MAY_ALIAS __attribute__((__may_alias__))
#else
#define NN_MAY_ALIAS
#endif
typedef int16_t NN_MAY_ALIAS nn_alias_s16_t;
typedef int32_t NN_MAY_ALIAS nn_alias_s32_t;
typedef float NN_MAY_ALIAS nn_alias_f32_t;

#define NN_SQRT_HALF 1518500250 /* in Q0.31 */

/* x * 2^shift, wrapping as two's complement does. */
static inline int32_t nn_shift_left(int32_t x, int32_t shift)
{
    return (int32_t)((uint32_t)x << shift);
}

/* Sums wrap as TFLite Micro's do on every target, without undefined behaviour. */
static inline int32_t nn_wrapping_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* High word of 2ab, rounded to the nearest, half up. Not for INT32_MIN times INT32_MIN. */
static inline int32_t nn_doubling_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* x / 2^exponent for exponent 0..31, rounded half away from zero. */
static inline int32_t nn_rounding_shift_right(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1U);
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + ((x & mask) > threshold ? 1 : 0);
}

static inline int32_t nn_requantize(int32_t x, nn_requant_t r)
{
    const int32_t left = r.shift > 0 ? r.shift : 0;
    const int32_t right = r.shift > 0 ? 0 : -r.shift;
    return nn_rounding_shift_right(nn_doubling_high_mul(nn_shift_left(x, left), r.multiplier),
                                   right);
}

/* x times a factor for sums of 64 bits, halves rounded up; |x| < 2^47. */
static inline int32_t nn_requantize_wide(int64_t x, nn_requant_t r)
{
    const int32_t right = 15 - r.shift;
    return (int32_t)((x * r.multiplier + (INT64_C(1) << (right - 1))) >> right);
}

/* acc + sum of (a[i] + offset) * b[i], four at a step. */
static inline int32_t nn_dot_s8(int32_t acc, const int8_t *a, int32_t offset, const int8_t *b,
                                int32_t count)
{
    uint32_t sum = (uint32_t)acc;
    const int8_t *const end4 = b + (count & ~3);
    const int8_t *const end = b + count;
    while (b != end4) {
        sum += (uint32_t)((a[0] + offset) * b[0]);
        sum += (uint32_t)((a[1] + offset) * b[1]);
        sum += (uint32_t)((a[2] + offset) * b[2]);
        sum += (uint32_t)((a[3] + offset) * b[3]);
        a += 4;
        b += 4;
    }
    while (b != end) {
        sum += (uint32_t)((*a++ + offset) * *b++);
    }
    return (int32_t)sum;
}

/* acc + sum of a[i] * b[i], two at a step: a product has 23 bits. */
static inline int64_t nn_dot_s16(int64_t acc, const int16_t *a, const int8_t *b, int32_t count)
{
    const int8_t *const end2 = b + (count & ~1);
    while (b != end2) {
        acc += a[0] * b[0] + a[1] * b[1];
        a += 2;
        b += 2;
    }
    return (count & 1) != 0 ? acc + *a * *b : acc;
}

/* In portable kernels no SSAT: an emulator of the Cortex-M4 does not have it, and compilers make it
 * of a minimum and a maximum that they see together. */
static inline int32_t nn_bound(int32_t x)
{
#if defined(__arm__) && !defined(NN_INSTRUCTIONS)
    __asm__("" : "+r"(x));
#endif
    return x;
}

static inline int32_t nn_max(int32_t a, int32_t b)
{
    return nn_bound(a > b ? a : b);
}

static inline int32_t nn_min(int32_t a, int32_t b)
{
    return nn_bound(a < b ? a : b);
}

static inline int16_t nn_clamp_s16(int32_t x, int32_t low, int32_t high)
{
    return (int16_t)nn_min(nn_max(x, low), high);
}

/* Rescale an accumulator, add the output's zero point and clamp. */
static inline int8_t nn_output_s8(int32_t acc, nn_requant_t r, int32_t offset, int32_t low,
                                  int32_t high)
{
    const int32_t value = nn_wrapping_add(nn_requantize(acc, r), offset);
    return (int8_t)nn_min(nn_max(value, low), high);
}

/* Rescale a sum of int16 values and clamp; a narrow one wraps at 32 bits. */
static inline int16_t nn_output_s16(int64_t acc, bool wide, nn_requant_t r, int32_t low,
                                    int32_t high)
{
    const int32_t value = wide ? nn_requantize_wide(acc, r) : nn_requantize((int32_t)acc, r);
    return nn_clamp_s16(value, low, high);
}

#endif
