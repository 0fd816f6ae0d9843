/* out = clamp(zp_out + requant(sum over inputs of requant((in - zp_in) * 2^20))), in one call for
 * each input and some of the elements
 *
 * | scratch | in and out | int32 [count], the sums from the first to the last call |
 * As TFLite Micro, a sum begins with what an input of 0 counts. Sums wrap. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_add_n_term(const nn_add_n_t *p, int32_t x)
{
    return nn_requantize(nn_shift_left(x + p->input_offset, NN_SUM_SHIFT), p->input_requant);
}

void nn_add_n_s8(const nn_add_n_t *p, const int8_t *input, int8_t *output, void *scratch)
{
    int32_t *sums = scratch;
    input += p->start;
    output += p->start;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t start = p->first != 0 ? nn_add_n_term(p, 0) : sums[i];
        sums[i] = nn_wrapping_add(start, nn_add_n_term(p, input[i]));
        if (p->last != 0) {
            output[i] =
                nn_output_s8(sums[i], p->output_requant, p->output_offset, INT8_MIN, INT8_MAX);
        }
    }
}
