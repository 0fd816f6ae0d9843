/* out = clamp(zp + requant((in - zp_in) / divisor))
 *
 * | in  | input  | int8 | zp_in |
 * | out | output | int8 | zp    |
 * A number times the reciprocal of its divisor, with all bits that an int32 has. Input and divisors
 * repeat along axes whose stride is 0. Scratch: none. Rounding: double, of both products.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static int32_t nn_quotient(int32_t x, nn_divisor_t divisor, int32_t multiplier)
{
    int32_t inverse = divisor.inverse;
    if (inverse < 0) {
        inverse = -inverse;
        x = -x;
    }
    int32_t headroom = 31; /* bits that repeat the sign */
    for (int32_t bits = x < 0 ? -1 - x : x; bits != 0; bits >>= 1) {
        headroom--;
    }
    const int32_t quotient = nn_doubling_high_mul(nn_shift_left(x, headroom), inverse);
    return nn_rounding_shift_right(nn_doubling_high_mul(quotient, multiplier),
                                   divisor.right + headroom);
}

void nn_div_s8(const nn_div_t *p, const int8_t *input, int8_t *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            const int32_t value =
                nn_quotient(input[i] + p->input_offset, p->divisors[j], p->multiplier);
            *output++ = (int8_t)nn_min(nn_max(value + p->output_offset, p->act_min), p->act_max);
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
