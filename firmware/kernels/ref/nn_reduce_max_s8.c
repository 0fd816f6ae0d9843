/* out[kept] = max over reduced of in[kept, reduced]; both on one scale
 *
 * Axes are strided walks, so any set of axes reduces. Scratch: none. Rounding: none.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static int8_t nn_reduced_max(const nn_axis_t *axes, const int8_t *input)
{
    const nn_axis_t inner = axes[NN_REDUCE_AXES - 1];
    int32_t best = INT8_MIN;
    nn_run_t run = {0};
    do {
        const int8_t *in = input + run.offset;
        for (int32_t i = 0; i < inner.count; i++) {
            best = nn_max(best, in[i * inner.stride]);
        }
    } while (nn_next_run(axes, NN_REDUCE_AXES - 1, &run));
    return (int8_t)best;
}

void nn_reduce_max_s8(const nn_reduce_t *p, const int8_t *input, int8_t *output)
{
    nn_run_t run = {0};
    do {
        *output++ = nn_reduced_max(p->reduced, input + run.offset);
    } while (nn_next_run(p->kept, NN_REDUCE_AXES, &run));
}
