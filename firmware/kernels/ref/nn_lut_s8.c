/* out[i] = table[in[i] + 128]
 *
 * Every function of one int8 value, the table computed by the integer reference when the code is
 * generated. Scratch: none. Rounding: that of the table's operator.
 */
#include "nn_kernels.h"

void nn_lut_s8(const nn_lut_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = p->table[input[i] + 128];
    }
}
