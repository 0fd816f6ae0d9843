/* out[i] = values[in[i] + 128], which is scale * (in[i] - zp) in single precision
 *
 * in[i] is read as int8; for uint8 the generator orders the table by the same bytes. The table is
 * computed when the code is generated, so that a core without a floating point unit computes
 * nothing. Scratch: none. Rounding: to nearest, ties to even, in the table.
 */
#include "nn_kernels.h"

void nn_dequantize_lut(const nn_dequantize_t *p, const void *input, float *output)
{
    const int8_t *in = input;
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = p->values[in[i] + 128];
    }
}
