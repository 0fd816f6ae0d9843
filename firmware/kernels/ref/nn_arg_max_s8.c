/* out[o, i] = the first k at which sign * in[o, k, i] is largest
 *
 * sign 1 finds the maximum, -1 the minimum. Scratch: none. Rounding: none.
 */
#include "nn_kernels.h"

static int32_t nn_first_best(const nn_arg_max_t *p, const int8_t *input)
{
    int32_t best = 0;
    for (int32_t k = 1; k < p->count; k++) {
        if (p->sign * input[k * p->inner] > p->sign * input[best * p->inner]) {
            best = k;
        }
    }
    return best;
}

void nn_arg_max_s8(const nn_arg_max_t *p, const int8_t *input, int32_t *output)
{
    for (int32_t o = 0; o < p->outer; o++) {
        for (int32_t i = 0; i < p->inner; i++) {
            *output++ = nn_first_best(p, input + o * p->count * p->inner + i);
        }
    }
}
