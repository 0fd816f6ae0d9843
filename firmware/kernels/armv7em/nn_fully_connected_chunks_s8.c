/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * Four outputs at a time, in chunks of inputs whose sums fit 24 bits: for layers of any size and
 * any rescaling, with a byte a weight and no scratch. Where two weights do not fit a halfword
 * together, -127 stands for -128, and the input is subtracted once more. MACs:
 * batches*output_depth*input_depth. Rounding: double.
 */
#include <string.h>

#include "nn_math.h"
#include "nn_packed.h"

/* The products of four channels; the last inputs, which fill no block, from a copy. */
static const int32_t *nn_group_sums(const nn_dense_chunks_t *p, const int32_t *stream,
                                    const int8_t *input, int32_t *sums)
{
    const int32_t whole = p->input_depth - p->input_depth % NN_DENSE_BLOCK;
    for (int32_t at = 0; at < whole; at += p->chunk) {
        const int32_t inputs = nn_min(p->chunk, whole - at);
        stream = nn_dense_sums_s8(stream, input + at, inputs / 2, sums);
    }
    if (whole < p->input_depth) {
        int8_t last[NN_DENSE_BLOCK] = {0};
        memcpy(last, input + whole, (size_t)(p->input_depth - whole));
        stream = nn_dense_sums_s8(stream, last, NN_DENSE_BLOCK / 2, sums);
    }
    return stream;
}

void nn_fully_connected_chunks_s8(const nn_dense_chunks_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t b = 0; b < p->batches; b++) {
        const int32_t *stream = p->stream;
        const nn_requant_t *requant = p->requant;
        const int32_t *missing = p->missing;
        const int32_t *const end = missing + 2 * p->missing_count;
        for (int32_t first = 0; first < p->output_depth; first += NN_GROUP) {
            int32_t sums[NN_GROUP];
            memcpy(sums, stream, sizeof(sums));
            stream = nn_group_sums(p, stream + NN_GROUP, input, sums);
            for (; missing < end && missing[0] < first + NN_GROUP; missing += 2) {
                int32_t *const sum = sums + (missing[0] - first);
                *sum = nn_wrapping_add(*sum, -input[missing[1]]);
            }
            for (int32_t i = 0; i < NN_GROUP && first + i < p->output_depth; i++) {
                *output++ =
                    nn_output_s8(sums[i], *requant, p->output_offset, p->act_min, p->act_max);
                requant += p->requant_step;
            }
        }
        input += p->input_depth;
    }
}
