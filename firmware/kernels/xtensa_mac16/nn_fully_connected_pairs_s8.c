/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * A group of channels at a time: for each chunk of inputs, which is widened to halfwords, the sums
 * of two channels with each other (nn_pair_sums_s8). Chunks need less scratch than all inputs and
 * are widened again for each group. MACs: batches*output_depth*input_depth. Rounding: double, in
 * two products.
 */
#include "nn_mac16.h"
#include "nn_math.h"

/* `count` outputs from channel `first` on. */
static void nn_put_outputs(const nn_dense_pairs_t *p, const int32_t *sums, int8_t *output,
                           int32_t first, int32_t count)
{
    if (p->are_shared) {
        nn_kept_outputs_s8(p->numbers, sums, output, count);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        nn_kept_outputs_s8(p->numbers + first + i, sums + i, output + i, 1);
    }
}

void nn_fully_connected_pairs_s8(const nn_dense_pairs_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch)
{
    int16_t *const x = (int16_t *)(void *)scratch;
    int32_t *const sums = (int32_t *)(void *)(x + p->chunk + 2);
    for (int32_t batch = 0; batch < p->batches; batch++) {
        const int32_t *stream = p->stream;
        for (int32_t first = 0; first < p->output_depth; first += p->group) {
            const int32_t count = nn_min(p->output_depth - first, p->group);
            for (int32_t i = 0; i < ((count + 1) & ~1); i++) {
                sums[i] = p->firsts[first + i];
            }
            for (int32_t at = 0; at < p->input_depth; at += p->chunk) {
                const nn_columns_t column = {nn_min(p->input_depth - at, p->chunk), 1, 0};
                const nn_pair_sums_t pairs = {column.inputs / NN_MAC_STEP, (count + 1) / 2};
                if (first == 0 || p->chunk < p->input_depth) {
                    nn_widen_columns_s8(&column, input + at, x);
                }
                nn_pair_sums_s8(&pairs, stream, x, sums);
                stream += pairs.pairs * column.inputs / 2;
            }
            nn_put_outputs(p, sums, output + first, first, count);
        }
        input += p->input_depth;
        output += p->output_depth;
    }
}
