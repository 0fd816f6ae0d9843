/* out = clamp(zp + requant_out((requant_a((a - zp_a) << s) - requant_b((b - zp_b) << s))^2))
 *
 * Inputs repeat along axes whose stride is 0. Scratch: none. Rounding: double, three times.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static inline int8_t nn_squared_difference_element(const nn_add_t *p, int8_t a, int8_t b)
{
    const int32_t wide_a = nn_shift_left(a + p->a_offset, p->left_shift);
    const int32_t wide_b = nn_shift_left(b + p->b_offset, p->left_shift);
    const int32_t difference =
        nn_requantize(wide_a, p->a_requant) - nn_requantize(wide_b, p->b_requant);
    return nn_output_s8(difference * difference, p->output_requant, p->output_offset, p->act_min,
                        p->act_max);
}

void nn_squared_difference_s8(const nn_add_t *p, const int8_t *a, const int8_t *b, int8_t *output)
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
