/* x = a - zp_a; out = clamp(zp + (x >= 0 ? requant(x) : alpha_requant(x * (alpha - zp_alpha))))
 *
 * alpha (the second operand) repeats along axes whose stride is 0. Scratch: none.
 * Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static inline int8_t nn_prelu_element(const nn_prelu_t *p, int8_t a, int8_t alpha)
{
    const int32_t x = a + p->a_offset;
    if (x >= 0) {
        return nn_output_s8(x, p->requant, p->output_offset, INT8_MIN, INT8_MAX);
    }
    return nn_output_s8(x * (alpha + p->alpha_offset), p->alpha_requant, p->output_offset, INT8_MIN,
                        INT8_MAX);
}

void nn_prelu_s8(const nn_prelu_t *p, const int8_t *a, const int8_t *alpha, int8_t *output)
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
