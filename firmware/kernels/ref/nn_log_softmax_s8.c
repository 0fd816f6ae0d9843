/* out[r,i] = scale * (in[r,i] - max_r) - log(sum over j of exp(scale * (in[r,j] - max_r))), in
 * steps of 1/16 from 0 = 127 down
 *
 * The logarithm splits the sum into a power of two and a number near 1, of which it takes a
 * rational function, in the formats and rounding of TFLite's common.h. Scratch: none. Rounding:
 * fixed point.
 */
#include "nn_kernels.h"
#include "nn_softmax.h"

#define NN_ROOT 1805811301 /* the fourth root of 1/2 */
#define NN_QUARTER (INT32_C(1) << 23)
#define NN_OUTPUT_SHIFT (31 - 5 - 4)

/* Bits above the highest one that is set, of x > 0. */
static int32_t nn_headroom(int32_t x)
{
    int32_t bits = 0;
    for (uint32_t u = (uint32_t)x; u < UINT32_C(0x80000000); u <<= 1) {
        bits++;
    }
    return bits;
}

static int32_t nn_saturated_shift(int32_t x, int32_t bits)
{
    return x > INT32_MAX >> bits ? INT32_MAX : nn_shift_left(x, bits);
}

/* The natural logarithm in Q5.26 of a sum of at least 1 in Q12.19. */
static int32_t nn_log_of_sum(int32_t z)
{
    const int32_t headroom = nn_headroom(z);
    const int32_t root_a = nn_doubling_high_mul(nn_shift_left(z, headroom - 1), NN_SQRT_HALF);
    const int32_t rest_a = nn_saturated_shift(root_a, 1);
    const int32_t power_a = (12 - headroom) * (INT32_C(1) << 25) + NN_QUARTER;
    const int32_t headroom_b = nn_headroom(nn_doubling_high_mul(z, NN_SQRT_HALF)) - 1;
    const int32_t rest_b = nn_saturated_shift(z, headroom_b);
    const int32_t power_b = (12 - headroom_b) * (INT32_C(1) << 25) - NN_QUARTER;
    const int32_t r = nn_min(rest_a, rest_b);
    const int32_t p = (int32_t)(((uint32_t)r + NN_ROOT + 1U) >> 1);
    const int32_t q = 2 * (r - NN_ROOT);
    const int32_t squared = nn_doubling_high_mul(q, q);
    const int32_t cubed = nn_doubling_high_mul(q, squared);
    const int32_t numerator = nn_doubling_high_mul(q, r) + nn_doubling_high_mul(cubed, 117049297);
    const int32_t inner = 1057819769 + q + nn_doubling_high_mul(squared, 127690142);
    const int32_t denominator = nn_doubling_high_mul(p, inner) + nn_doubling_high_mul(q, 638450708);
    const int32_t half = (int32_t)(((uint32_t)denominator + (UINT32_C(1) << 31)) >> 1);
    const int32_t fraction =
        nn_doubling_high_mul(nn_rounding_shift_right(numerator, 6), nn_reciprocal(half));
    return nn_shift_left(nn_doubling_high_mul(nn_max(power_a, power_b), 1488522236) + fraction, 1);
}

static void nn_log_softmax_row(const nn_log_softmax_t *p, const int8_t *in, int8_t *out)
{
    const nn_softmax_t *const s = &p->softmax;
    const int8_t *const end = in + s->depth;
    const int32_t max = nn_row_max(in, s->depth);
    const int32_t log_sum = nn_log_of_sum(nn_exp_sum(s, in, max));
    const int32_t lowest = nn_max(s->diff_min - 1, nn_requantize(log_sum + INT32_MIN, p->back));
    do {
        const int32_t diff = *in++ - max;
        int32_t value = INT8_MIN;
        if (diff > lowest) {
            const int32_t scaled =
                nn_doubling_high_mul(nn_shift_left(diff, s->left_shift), s->multiplier);
            value = nn_rounding_shift_right(scaled - log_sum, NN_OUTPUT_SHIFT) + INT8_MAX;
        }
        *out++ = (int8_t)nn_max(nn_min(value, INT8_MAX), INT8_MIN);
    } while (in != end);
}

void nn_log_softmax_s8(const nn_log_softmax_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->softmax.rows; row++) {
        const int32_t first = row * p->softmax.depth;
        nn_log_softmax_row(p, input + first, output + first);
    }
}
