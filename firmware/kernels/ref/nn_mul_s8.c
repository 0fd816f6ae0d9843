/* out = clamp(zp + requant((a - zp_a) * (b - zp_b)))
 *
 * Inputs repeat along axes whose stride is 0. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

void nn_mul_s8(const nn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            const int32_t product = (a[i] + p->a_offset) * (b[j] + p->b_offset);
            *output++ = nn_output_s8(product, p->requant, p->output_offset, p->act_min, p->act_max);
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
