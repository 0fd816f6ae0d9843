/* out[o][k][i] = clamp(zp_out + requant(sum over j <= k of requant((in[o][j][i] - zp_in) * 2^20)))
 *
 * exclusive: over j < k; reverse: from the end. As TFLite Micro, each sum begins with what an input
 * of 0 counts, which is nothing where the zero point is 0. Sums wrap.
 * Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_cumsum_term(const nn_cumsum_t *p, int32_t x)
{
    return nn_requantize(nn_shift_left(x + p->input_offset, NN_SUM_SHIFT), p->input_requant);
}

void nn_cumsum_s8(const nn_cumsum_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->outer * p->inner; row++) {
        int32_t at = row / p->inner * p->count * p->inner + row % p->inner;
        const int32_t step = p->reverse != 0 ? -p->inner : p->inner;
        at += p->reverse != 0 ? (p->count - 1) * p->inner : 0;
        int32_t sum = nn_cumsum_term(p, 0);
        for (int32_t k = 0; k < p->count; k++) {
            const int32_t before = sum;
            sum = nn_wrapping_add(sum, nn_cumsum_term(p, input[at]));
            output[at] = nn_output_s8(p->exclusive != 0 ? before : sum, p->output_requant,
                                      p->output_offset, INT8_MIN, INT8_MAX);
            at += step;
        }
    }
}
