/* out[kept] = sum, mean or maximum over reduced of in[kept, reduced], in single precision
 *
 * Elements are added one by one in the order in which they lie, from 0; a mean divides the sum by
 * their number. A maximum begins with the lowest finite number, and no NaN is larger than another.
 * Scratch: none. Rounding: each operation to nearest, ties to even.
 */
#include <float.h>

#include "nn_float.h"
#include "nn_kernels.h"
#include "nn_walk.h"

static float nn_reduced(const nn_reduce_f32_t *p, const float *input)
{
    const nn_axis_t inner = p->reduced[NN_REDUCE_AXES - 1];
    const bool is_sum = p->function != NN_F_REDUCE_MAX;
    float value = is_sum ? 0.0F : -FLT_MAX;
    nn_run_t run = {0};
    do {
        const float *in = input + run.offset;
        for (int32_t i = 0; i < inner.count; i++) {
            const float x = in[i * inner.stride];
            if (is_sum) {
                value = nn_add_f32(value, x);
            } else if (x > value) {
                value = x;
            }
        }
    } while (nn_next_run(p->reduced, NN_REDUCE_AXES - 1, &run));
    return p->function == NN_F_MEAN ? nn_div_f32(value, p->count) : value;
}

void nn_reduce_f32(const nn_reduce_f32_t *p, const float *input, float *output)
{
    nn_run_t run = {0};
    do {
        *output++ = nn_reduced(p, input + run.offset);
    } while (nn_next_run(p->kept, NN_REDUCE_AXES, &run));
}
