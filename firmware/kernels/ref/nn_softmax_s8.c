/* out[r,i] = exp(beta * scale * (in[r,i] - max_r)) / sum over j of the same, in Q0.8 minus 128
 *
 * exp by a quarter-step table and a Taylor polynomial, 1/(1+x) by Newton-Raphson, all in the
 * fixed-point formats and rounding of gemmlowp (fixedpoint.h), so that every bit is TFLite
 * Micro's. Qm.n below: m integer bits. Scratch: none. Rounding: fixed point.
 */
#include "nn_kernels.h"
#include "nn_math.h"

#define NN_ACCUMULATOR_INTEGER_BITS 12

/* a * 2^shift, saturating. */
static int32_t nn_saturating_shift_left(int32_t a, int32_t shift)
{
    const int32_t limit = INT32_MAX >> shift;
    if (a > limit) {
        return INT32_MAX;
    }
    return a < -limit - 1 ? INT32_MIN : nn_shift_left(a, shift);
}

/* exp(a) in Q0.31 for a in Q0.31 within [-1/4, 0): Taylor polynomial around -1/8. */
static int32_t nn_exp_quarter(int32_t a)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t one_third = 715827883;
    const int32_t x = a + (INT32_C(1) << 28);
    const int32_t x2 = nn_doubling_high_mul(x, x);
    const int32_t x3 = nn_doubling_high_mul(x2, x);
    const int32_t x4_over_4 = nn_rounding_shift_right(nn_doubling_high_mul(x2, x2), 2);
    const int32_t tail =
        nn_rounding_shift_right(nn_doubling_high_mul(x4_over_4 + x3, one_third) + x2, 1);
    return exp_minus_eighth + nn_doubling_high_mul(exp_minus_eighth, x + tail);
}

/* exp(a) in Q0.31 for a <= 0 in Q5.26. */
static int32_t nn_exp_negative(int32_t a)
{
    /* exp(-2^k) in Q0.31 for k = -2 .. 4 */
    static const int32_t factor[] = {1672461947, 1302514674, 790015084, 290630308,
                                     39332535,   720401,     242};
    const int32_t quarter = INT32_C(1) << 24;
    if (a == 0) {
        return INT32_MAX;
    }
    const int32_t remainder = (a & (quarter - 1)) - quarter;
    int32_t result = nn_exp_quarter(nn_saturating_shift_left(remainder, 5));
    const int32_t rest = nn_wrapping_add(remainder, (int32_t)(0U - (uint32_t)a));
    for (int32_t k = 0; k < 7; k++) {
        if (rest & (quarter << k)) {
            result = nn_doubling_high_mul(result, factor[k]);
        }
    }
    return result;
}

/* 1 / (1 + a) in Q0.31 for a in Q0.31 within [0, 1): three Newton-Raphson steps in Q2.29. */
static int32_t nn_reciprocal_one_plus(int32_t a)
{
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + nn_doubling_high_mul(half_denominator, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (INT32_C(1) << 29) - nn_doubling_high_mul(half_denominator, x);
        x += nn_saturating_shift_left(nn_doubling_high_mul(x, error), 2);
    }
    return nn_saturating_shift_left(x, 1);
}

static int32_t nn_count_leading_zeros(uint32_t x)
{
    int32_t count = 32;
    while (x != 0U) {
        x >>= 1;
        count--;
    }
    return count;
}

static int32_t nn_scaled_exp(const nn_softmax_t *p, int32_t diff)
{
    return nn_exp_negative(nn_doubling_high_mul(nn_shift_left(diff, p->left_shift), p->multiplier));
}

static void nn_softmax_row(const nn_softmax_t *p, const int8_t *in, int8_t *out)
{
    int32_t max = INT8_MIN;
    for (int32_t i = 0; i < p->depth; i++) {
        max = nn_max(max, in[i]);
    }
    int32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        if (in[i] - max >= p->diff_min) {
            sum +=
                nn_rounding_shift_right(nn_scaled_exp(p, in[i] - max), NN_ACCUMULATOR_INTEGER_BITS);
        }
    }
    const int32_t headroom = nn_count_leading_zeros((uint32_t)sum);
    const int32_t scale =
        nn_reciprocal_one_plus((int32_t)(((uint32_t)sum << headroom) - (UINT32_C(1) << 31)));
    const int32_t exponent = NN_ACCUMULATOR_INTEGER_BITS - headroom + 31 - 8;
    for (int32_t i = 0; i < p->depth; i++) {
        int32_t value = INT8_MIN;
        if (in[i] - max >= p->diff_min) {
            const int32_t product = nn_doubling_high_mul(scale, nn_scaled_exp(p, in[i] - max));
            value = nn_min(nn_rounding_shift_right(product, exponent) + INT8_MIN, INT8_MAX);
        }
        out[i] = (int8_t)value;
    }
}

void nn_softmax_s8(const nn_softmax_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        nn_softmax_row(p, input + row * p->depth, output + row * p->depth);
    }
}
