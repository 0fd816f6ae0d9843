/* out[kept] = clamp(requant(sum over reduced of in[kept, reduced]))
 *
 * A mean when the factor holds 1 / count, else a sum. Axes are strided walks, so any set of axes
 * reduces. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static int32_t nn_reduced_sum(const nn_axis_t *axes, const int16_t *input)
{
    const nn_axis_t inner = axes[NN_REDUCE_AXES - 1];
    int32_t sum = 0;
    nn_run_t run = {0};
    do {
        const int16_t *in = input + run.offset;
        for (int32_t i = 0; i < inner.count; i++) {
            sum = nn_wrapping_add(sum, in[i * inner.stride]);
        }
    } while (nn_next_run(axes, NN_REDUCE_AXES - 1, &run));
    return sum;
}

void nn_mean_s16(const nn_mean_t *p, const int16_t *input, int16_t *output)
{
    nn_run_t run = {0};
    do {
        const int32_t sum = nn_reduced_sum(p->reduced, input + run.offset);
        *output++ = nn_output_s16(sum, false, p->requant, INT16_MIN, INT16_MAX);
    } while (nn_next_run(p->kept, NN_REDUCE_AXES, &run));
}
