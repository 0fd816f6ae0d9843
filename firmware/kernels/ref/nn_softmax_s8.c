/* out[r,i] = exp(beta * scale * (in[r,i] - max_r)) / sum over j of the same, in Q0.8 minus 128
 *
 * exp by a quarter-step table and a Taylor polynomial, 1/(1+x) by Newton-Raphson, all in the
 * fixed-point formats and rounding of gemmlowp (fixedpoint.h), so that every bit is TFLite
 * Micro's. Qm.n below: m integer bits. What is rounded by a shift is never negative, so halves go
 * up. Scratch: none. Rounding: fixed point.
 */
#include "nn_kernels.h"
#include "nn_math.h"

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
static int32_t nn_reciprocal(int32_t d)
{
    int32_t x = 1515870810 + nn_doubling_high_mul(d, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (INT32_C(1) << 29) - nn_doubling_high_mul(d, x);
        x += nn_shift_left(nn_doubling_high_mul(x, error), 2);
    }
    return x > INT32_MAX >> 1 ? INT32_MAX : nn_shift_left(x, 1);
}

static void nn_softmax_row(const nn_softmax_t *p, const int8_t *in, int8_t *out)
{
    const int8_t *const end = in + p->depth;
    const int8_t *x = in;
    int32_t max = INT8_MIN;
    do {
        max = nn_max(max, *x++);
    } while (x != end);
    int32_t sum = 0; /* from exp(0) up to 511 of them */
    x = in;
    do {
        sum += nn_half_up(nn_scaled_exp(p, *x++ - max), NN_ACCUMULATOR_INTEGER_BITS);
    } while (x != end);
    int32_t exponent = NN_ACCUMULATOR_INTEGER_BITS + 30 - 8;
    do {
        sum <<= 1;
        exponent--;
    } while (sum <= INT32_MAX >> 1);
    const int32_t scale = nn_reciprocal(sum);
    do {
        const int32_t product = nn_doubling_high_mul(scale, nn_scaled_exp(p, *in++ - max));
        *out++ = (int8_t)nn_min(nn_half_up(product, exponent) + INT8_MIN, INT8_MAX);
    } while (in != end);
}

void nn_softmax_s8(const nn_softmax_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        nn_softmax_row(p, input + row * p->depth, output + row * p->depth);
    }
}
