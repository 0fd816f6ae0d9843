/* out[r] = clamp(zp + requant(sum over i of in[r,i] - count * zp_in))
 *
 * A mean when the factor holds 1 / count, else a sum: of rows without gaps, four elements in eight
 * instructions. Scratch: none. Rounding: double.
 */
#include "nn_dsp.h"
#include "nn_math.h"
#include "nn_packed.h"

static int32_t nn_row_sum(const int8_t *x, int32_t count)
{
    const uint32_t ones = UINT32_C(0x00010001);
    int32_t sum = 0;
    for (; count >= 4; count -= 4, x += 4) {
        const uint32_t word = nn_load_word(x);
        sum = nn_smlad(nn_sxtb16(word), ones, sum);
        sum = nn_smlad(nn_sxtb16_odd(word), ones, sum);
    }
    for (; count > 0; count--) {
        sum += *x++;
    }
    return sum;
}

void nn_mean_rows_s8(const nn_mean_rows_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        const int32_t sum = nn_wrapping_add(nn_row_sum(input, p->count), p->input_offset_sum);
        *output++ = nn_output_s8(sum, p->requant, p->output_offset, INT8_MIN, INT8_MAX);
        input += p->count;
    }
}
