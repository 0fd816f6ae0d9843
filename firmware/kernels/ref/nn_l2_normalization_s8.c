/* out[r][i] = x / sqrt(sum over j of in[r][j]^2), x = in[r][i], in steps of 1/128; zero points gone
 *
 * | in  | input  | int8 [rows][depth] | zp_in |
 * | out | output | int8 [rows][depth] | 0     |
 * MACs: rows * depth. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_root.h"

void nn_l2_normalization_s8(const nn_l2_normalization_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t x = input[i] + p->input_offset;
            sum += x * x;
        }
        nn_requant_t factor = nn_inverse_root(sum);
        factor.shift += 7;
        for (int32_t i = 0; i < p->depth; i++) {
            *output++ = nn_output_s8(*input++ + p->input_offset, factor, 0, INT8_MIN, INT8_MAX);
        }
    }
}
