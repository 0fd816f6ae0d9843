/* What softmax and log-softmax of int8 share: exponentials in gemmlowp's fixed-point formats and
 * rounding (fixedpoint.h), so that every bit is TFLite Micro's. Qm.n: m integer bits. What is
 * rounded by a shift here is never negative, so halves go up. What is called twice is not inline:
 * a softmax would hold it twice. */
#ifndef NN_SOFTMAX_H
#define NN_SOFTMAX_H

#include "nn_math.h"
#include "nn_types.h"

#define NN_ACCUMULATOR_INTEGER_BITS 12

/* x / 2^exponent to the nearest, for x of at least 0 and exponent 1 .. 31. */
static inline int32_t nn_half_up(int32_t x, int32_t exponent)
{
    return (int32_t)(((uint32_t)x + (UINT32_C(1) << (exponent - 1))) >> exponent);
}

/* exp(a) in Q0.31 for a in Q0.31 within [-1/4, 0): Taylor polynomial around -1/8. */
static int32_t nn_exp_quarter(int32_t a)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t one_third = 715827883;
    const int32_t x = a + (INT32_C(1) << 28);
    const int32_t x2 = nn_doubling_high_mul(x, x);
    const int32_t x3 = nn_doubling_high_mul(x2, x);
    const int32_t x4_over_4 = nn_half_up(nn_doubling_high_mul(x2, x2), 2);
    const int32_t tail = nn_half_up(nn_doubling_high_mul(x4_over_4 + x3, one_third) + x2, 1);
    return exp_minus_eighth + nn_doubling_high_mul(exp_minus_eighth, x + tail);
}

/* exp of a difference of at most 0, in Q0.31. */
static int32_t nn_scaled_exp(const nn_softmax_t *p, int32_t diff)
{
    /* exp(-2^k) in Q0.31 for k = -2 .. 4 */
    static const int32_t factor[] = {1672461947, 1302514674, 790015084, 290630308,
                                     39332535,   720401,     242};
    const int32_t quarter = INT32_C(1) << 24; /* in Q5.26 */
    if (diff < p->diff_min) {
        return 0;
    }
    const int32_t a = nn_doubling_high_mul(nn_shift_left(diff, p->left_shift), p->multiplier);
    if (a == 0) {
        return INT32_MAX;
    }
    const int32_t remainder = (a & (quarter - 1)) - quarter;
    int32_t result = nn_exp_quarter(nn_shift_left(remainder, 5));
    uint32_t quarters = (uint32_t)(remainder - a) / (uint32_t)quarter;
    for (const int32_t *next = factor; quarters != 0U; quarters >>= 1, next++) {
        if ((quarters & 1U) != 0U) {
            result = nn_doubling_high_mul(result, *next);
        }
    }
    return result;
}

/* 1 / d in Q1.30 for d in Q0.31 within [1/2, 1), at most INT32_MAX: three Newton-Raphson steps in
 * Q2.29. */
static inline int32_t nn_reciprocal(int32_t d)
{
    int32_t x = 1515870810 + nn_doubling_high_mul(d, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (INT32_C(1) << 29) - nn_doubling_high_mul(d, x);
        x += nn_shift_left(nn_doubling_high_mul(x, error), 2);
    }
    return x > INT32_MAX >> 1 ? INT32_MAX : nn_shift_left(x, 1);
}

static inline int32_t nn_row_max(const int8_t *x, int32_t depth)
{
    const int8_t *const end = x + depth;
    int32_t max = INT8_MIN;
    do {
        max = nn_max(max, *x++);
    } while (x != end);
    return max;
}

/* The sum of a row's exponentials in Q12.19: from exp(0) up to 4095 of them. */
static inline int32_t nn_exp_sum(const nn_softmax_t *p, const int8_t *x, int32_t max)
{
    const int8_t *const end = x + p->depth;
    int32_t sum = 0;
    do {
        sum += nn_half_up(nn_scaled_exp(p, *x++ - max), NN_ACCUMULATOR_INTEGER_BITS);
    } while (x != end);
    return sum;
}

typedef struct {
    int32_t scale;    /* 1 / sum, without its power of two */
    int32_t exponent; /* by which products are shifted for 0 integer bits and no others */
} nn_softmax_scale_t;

/* 1 / sum in Q12.19; the exponent is 31 to 42. */
static inline nn_softmax_scale_t nn_softmax_scale(int32_t sum)
{
    int32_t exponent = NN_ACCUMULATOR_INTEGER_BITS + 30;
    for (; sum <= INT32_MAX >> 1; sum <<= 1) {
        exponent--;
    }
    return (nn_softmax_scale_t){nn_reciprocal(sum), exponent};
}

/* exponential * scale / 2^exponent to the nearest, for an exponent of 2 to 32: what is left of the
 * product, which is positive, is its high word. */
static inline int32_t nn_softmax_part(int32_t exponential, int32_t scale, int32_t exponent)
{
    const uint64_t product = (uint64_t)(uint32_t)exponential * (uint32_t)scale;
    return nn_half_up((int32_t)((product + (UINT64_C(1) << 30)) >> 32), exponent - 1);
}

#endif
