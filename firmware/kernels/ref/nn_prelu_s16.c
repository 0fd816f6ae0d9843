/* out = clamp(x >= 0 ? requant(x) : alpha_requant(x * (alpha - zp_alpha)))
 *
 * x (int16) has zero point 0; alpha is int8 and repeats along axes whose stride is 0.
 * Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static inline int16_t nn_prelu_element(const nn_prelu_t *p, int16_t x, int8_t alpha)
{
    const int32_t value = x >= 0 ? nn_requantize(x, p->requant)
                                 : nn_requantize(x * (alpha + p->alpha_offset), p->alpha_requant);
    return nn_clamp_s16(value, INT16_MIN, INT16_MAX);
}

void nn_prelu_s16(const nn_prelu_t *p, const int16_t *a, const int8_t *alpha, int16_t *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            *output++ = nn_prelu_element(p, a[i], alpha[j]);
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
