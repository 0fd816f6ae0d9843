/* out[r,i] = exp(beta * scale * (in[r,i] - max_r)) / sum over j of the same, in Q0.8 minus 128
 *
 * As nn_softmax_s8, but an exponential is read from a table: 18 instructions an element, and about
 * 270 a row. The output may lie on the input. Scratch: none. Rounding: fixed point.
 */
#include "nn_dsp.h"
#include "nn_elementwise.h"
#include "nn_softmax_scale.h"

#define NN_OUTPUT_BITS 8

static int32_t nn_row_max(const int8_t *x, int32_t depth)
{
    uint32_t max = nn_four_bytes(x[0]);
    if (depth < 4) {
        for (int32_t i = 1; i < depth; i++) {
            max = nn_max_bytes(max, nn_four_bytes(x[i]));
        }
    } else {
        const int8_t *const last = x + depth - 4;
        for (; x < last; x += 4) {
            max = nn_max_bytes(max, nn_load_word(x));
        }
        max = nn_max_bytes(max, nn_load_word(last));
    }
    max = nn_max_bytes(max, max >> 16);
    return (int8_t)(nn_max_bytes(max, max >> 8) & 0xFFU);
}

/* exps: of x, what belongs to the input x of this row. */
static void nn_softmax_row(const int32_t *exps, const int8_t *x, int32_t depth, int8_t *output)
{
    const int8_t *const end = x + depth;
    uint32_t sum = 0;
    do {
        const uint32_t half = UINT32_C(1) << (NN_ACCUMULATOR_INTEGER_BITS - 1);
        sum += ((uint32_t)exps[*x++] + half) >> NN_ACCUMULATOR_INTEGER_BITS;
    } while (x != end);
    const nn_softmax_scale_t s = nn_softmax_scale(nn_min((int32_t)sum, NN_512));
    const int32_t exponent = s.exponent - NN_OUTPUT_BITS;
    x -= depth;
    do {
        const int32_t value = nn_softmax_part(exps[*x++], s.scale, exponent);
        *output++ = (int8_t)nn_min(value + INT8_MIN, INT8_MAX);
    } while (x != end);
}

void nn_softmax_table_s8(const nn_softmax_table_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        const int32_t *const exps = p->table + 255 - nn_row_max(input, p->depth);
        nn_softmax_row(exps, input, p->depth, output);
        input += p->depth;
        output += p->depth;
    }
}
