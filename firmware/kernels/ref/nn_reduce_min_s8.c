/* out[kept] = min over reduced of in[kept, reduced]; both on one scale, or truth values
 *
 * Axes are strided walks, so any set of axes reduces. Scratch: none. Rounding: none.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static int8_t nn_reduced_min(const nn_axis_t *axes, const int8_t *input)
{
    const nn_axis_t inner = axes[NN_REDUCE_AXES - 1];
    int32_t best = INT8_MAX;
    nn_run_t run = {0};
    do {
        const int8_t *in = input + run.offset;
        for (int32_t i = 0; i < inner.count; i++) {
            best = nn_min(best, in[i * inner.stride]);
        }
    } while (nn_next_run(axes, NN_REDUCE_AXES - 1, &run));
    return (int8_t)best;
}

void nn_reduce_min_s8(const nn_reduce_t *p, const void *input, void *output)
{
    const int8_t *in = input;
    int8_t *out = output;
    nn_run_t run = {0};
    do {
        *out++ = nn_reduced_min(p->reduced, in + run.offset);
    } while (nn_next_run(p->kept, NN_REDUCE_AXES, &run));
}
