/* What softmax and log-softmax of int8 share: exponentials in gemmlowp's fixed-point formats and
 * rounding (fixedpoint.h), so that every bit is TFLite Micro's. Qm.n: m integer bits. What is
 * rounded by a shift here is never negative, so halves go up. What is called twice is not inline:
 * a softmax would hold it twice. */
#ifndef NN_SOFTMAX_H
#define NN_SOFTMAX_H

#include "nn_softmax_scale.h"
#include "nn_types.h"

/* nn_high_mul(2 * x, x) for x from 0 to 2^30: without a sign, as compilers make more of one. */
static inline int32_t nn_high_square(int32_t x)
{
    const uint32_t u = (uint32_t)x;
    return (int32_t)(((uint64_t)(2U * u) * u + (UINT64_C(1) << 31)) >> 32);
}

/* exp(a) in Q0.31 for a in Q0.31 within [-1/4, 0): Taylor polynomial around -1/8. */
static int32_t nn_exp_quarter(int32_t a)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t one_third = 715827883;
    const int32_t x = a + (INT32_C(1) << 28);
    const int32_t x2 = nn_high_mul(2 * x, x);
    const int32_t x3 = nn_high_mul(2 * x2, x);
    const int32_t x4_over_4 = nn_half_up(nn_high_square(x2), 2);
    const int32_t tail = nn_half_up(nn_high_mul(2 * (x4_over_4 + x3), one_third) + x2, 1);
    return exp_minus_eighth + nn_high_mul(2 * (x + tail), exp_minus_eighth);
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

#endif
