/* out = clamp(requant(a * b))
 *
 * Zero points are 0. Inputs repeat along axes whose stride is 0. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

void nn_mul_s16(const nn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            *output++ =
                nn_clamp_s16(nn_requantize(a[i] * b[j], p->requant), p->act_min, p->act_max);
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
