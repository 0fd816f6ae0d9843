/* out[i] = table[in[i] + 128]
 *
 * Every function of one int8 value, the table computed by the integer reference when the code is
 * generated. Scratch: none. Rounding: that of the table's operator.
 */
#include "nn_kernels.h"

void nn_lut_s8(const nn_lut_t *p, const int8_t *input, int8_t *output)
{
    const int8_t *const table = p->table + 128;
    const int8_t *const end = input + p->count;
    const int8_t *const end4 = input + (p->count & ~3);
    for (; input != end4; input += 4, output += 4) {
        output[0] = table[input[0]];
        output[1] = table[input[1]];
        output[2] = table[input[2]];
        output[3] = table[input[3]];
    }
    while (input != end) {
        *output++ = table[*input++];
    }
}
