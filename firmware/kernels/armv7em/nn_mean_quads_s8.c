/* out[kept] = clamp(zp + requant(sum over reduced of in[kept, reduced] - count * zp_in))
 *
 * A mean when the factor holds 1 / count, else a sum. Four elements of the innermost kept axis at a
 * time; the last four overlap the ones before. Scratch: none. Rounding: double.
 */
#include "nn_math.h"
#include "nn_packed.h"
#include "nn_walk.h"

static void nn_mean_quad(const nn_mean_t *p, const int8_t *input, int8_t *output)
{
    const nn_axis_t outer = p->reduced[NN_REDUCE_AXES - 2];
    const nn_axis_t inner = p->reduced[NN_REDUCE_AXES - 1];
    const nn_places_t places = {
        .rows = outer.count, .run = inner.count, .stride = inner.stride, .row = outer.stride};
    int32_t sums[NN_LANES] = {0};
    nn_run_t run = {0};
    do {
        nn_sum_quad_s8(&places, input + run.offset, sums);
    } while (nn_next_run(p->reduced, NN_REDUCE_AXES - 2, &run));
    for (int32_t i = 0; i < NN_LANES; i++) {
        output[i] = nn_output_s8(nn_wrapping_add(sums[i], p->input_offset_sum), p->requant,
                                 p->output_offset, INT8_MIN, INT8_MAX);
    }
}

void nn_mean_quads_s8(const nn_mean_t *p, const int8_t *input, int8_t *output)
{
    const int32_t count = p->kept[NN_REDUCE_AXES - 1].count;
    nn_run_t run = {0};
    do {
        for (int32_t i = 0; i < count; i += NN_LANES) {
            const int32_t from = nn_min(i, count - NN_LANES);
            nn_mean_quad(p, input + run.offset + from, output + from);
        }
        output += count;
    } while (nn_next_run(p->kept, NN_REDUCE_AXES - 1, &run));
}
