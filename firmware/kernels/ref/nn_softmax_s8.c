/* out[r,i] = exp(beta * scale * (in[r,i] - max_r)) / sum over j of the same, in Q0.8 minus 128
 *
 * A row whose sum is 512 or more would make TFLite Micro abort; all of its outputs are 0 here,
 * which is what they round to. Scratch: none. Rounding: fixed point.
 */
#include "nn_kernels.h"
#include "nn_softmax.h"

#define NN_OUTPUT_BITS 8

static void nn_softmax_row(const nn_softmax_t *p, const int8_t *in, int8_t *out)
{
    const int8_t *const end = in + p->depth;
    const int32_t max = nn_row_max(in, p->depth);
    const nn_softmax_scale_t s = nn_softmax_scale(nn_min(nn_exp_sum(p, in, max), NN_512));
    const int32_t exponent = s.exponent - NN_OUTPUT_BITS;
    do {
        const int32_t value = nn_softmax_part(nn_scaled_exp(p, *in++ - max), s.scale, exponent);
        *out++ = (int8_t)nn_min(value + INT8_MIN, INT8_MAX);
    } while (in != end);
}

void nn_softmax_s8(const nn_softmax_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        nn_softmax_row(p, input + row * p->depth, output + row * p->depth);
    }
}
