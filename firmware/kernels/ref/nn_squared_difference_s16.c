/* out = clamp(requant_out((requant_a(a << s) - requant_b(b << s))^2))
 *
 * Zero points are 0. Inputs repeat along axes whose stride is 0. Scratch: none.
 * Rounding: double, three times.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static inline int16_t nn_squared_difference_element(const nn_add_t *p, int16_t a, int16_t b)
{
    const int32_t wide_a = nn_shift_left(a, p->left_shift);
    const int32_t wide_b = nn_shift_left(b, p->left_shift);
    const int32_t difference =
        nn_requantize(wide_a, p->a_requant) - nn_requantize(wide_b, p->b_requant);
    const int32_t value = nn_requantize(difference * difference, p->output_requant);
    return nn_clamp_s16(value, p->act_min, p->act_max);
}

void nn_squared_difference_s16(const nn_add_t *p, const int16_t *a, const int16_t *b,
                               int16_t *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            *output++ = nn_squared_difference_element(p, a[i], b[j]);
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
