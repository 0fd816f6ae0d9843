/* out = min(a, b); all three on one scale
 *
 * Inputs repeat along axes whose stride is 0. Scratch: none. Rounding: none.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

void nn_minimum_s16(const nn_broadcast_t *p, const int16_t *a, const int16_t *b, int16_t *output)
{
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < p->count[inner]; k++) {
            *output++ = (int16_t)nn_min(a[i], b[j]);
            i += p->stride_a[inner];
            j += p->stride_b[inner];
        }
    } while (nn_next_pair(p, &pair));
}
