/* Single precision that gives the same bits on every core, NaN included.
 *
 * IEEE 754 leaves open which NaN an operation gives, and cores differ. Here it is what the
 * processors give that TFLite Micro's answers come from: the first operand that is a NaN, made
 * quiet, else the one that is called NN_NAN. Kernels are compiled with -ffp-contract=off.
 */
#ifndef NN_FLOAT_H
#define NN_FLOAT_H

#include <stdint.h>

#define NN_NAN UINT32_C(0xFFC00000)
#define NN_QUIET UINT32_C(0x00400000)
#define NN_FLOAT_SIGN UINT32_C(0x80000000)
#define NN_INFINITY UINT32_C(0x7F800000)

typedef union {
    float value;
    uint32_t bits;
} nn_float_t;

static inline uint32_t nn_bits(float value)
{
    const nn_float_t as = {.value = value};
    return as.bits;
}

static inline float nn_from_bits(uint32_t bits)
{
    const nn_float_t as = {.bits = bits};
    return as.value;
}

static inline float nn_choose_nan(float a, float b)
{
    const uint32_t first = nn_bits(a);
    const uint32_t second = nn_bits(b);
    if ((first & ~NN_FLOAT_SIGN) > NN_INFINITY) {
        return nn_from_bits(first | NN_QUIET);
    }
    return nn_from_bits((second & ~NN_FLOAT_SIGN) > NN_INFINITY ? second | NN_QUIET : NN_NAN);
}

/* `result` of an operation on `a` and `b`. */
static inline float nn_settle(float result, float a, float b)
{
    return result == result ? result : nn_choose_nan(a, b);
}

static inline float nn_add_f32(float a, float b)
{
    return nn_settle(a + b, a, b);
}

static inline float nn_sub_f32(float a, float b)
{
    return nn_settle(a - b, a, b);
}

static inline float nn_mul_f32(float a, float b)
{
    return nn_settle(a * b, a, b);
}

static inline float nn_div_f32(float a, float b)
{
    return nn_settle(a / b, a, b);
}

/* The square root, rounded to nearest, digit by digit: no library has to be linked. */
static inline float nn_sqrt_f32(float value)
{
    const uint32_t bits = nn_bits(value);
    if ((bits & ~NN_FLOAT_SIGN) == 0 || bits == NN_INFINITY) {
        return value;
    }
    if (bits > NN_INFINITY) {
        return nn_choose_nan(value, value); /* negative, or a NaN */
    }
    int32_t exponent = (int32_t)(bits >> 23);
    uint32_t mantissa = bits & UINT32_C(0x007FFFFF);
    if (exponent == 0) {
        exponent = 1;
        while (mantissa < UINT32_C(1) << 23) {
            mantissa <<= 1;
            exponent--;
        }
    } else {
        mantissa |= UINT32_C(1) << 23;
    }
    if ((exponent & 1) == 0) { /* what stands beside the mantissa is a power of 4 */
        mantissa <<= 1;
        exponent--;
    }
    uint64_t rest = (uint64_t)mantissa << 23;
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 46; bit != 0; bit >>= 2) {
        const uint64_t trial = root + bit;
        root >>= 1;
        if (rest >= trial) {
            rest -= trial;
            root += bit;
        }
    }
    const uint32_t rounded = (uint32_t)root + (rest > root ? 1U : 0U);
    return nn_from_bits(((uint32_t)((exponent + 125) / 2) << 23) + rounded);
}

#endif
