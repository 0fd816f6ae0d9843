/* out[i] = values[in[i] + 128], which is scale * (in[i] - zp) in single precision
 *
 * The table is computed when the code is generated, so that a core without a floating point unit
 * computes nothing. Scratch: none. Rounding: to nearest, ties to even, in the table.
 */
#include "nn_kernels.h"

void nn_dequantize_s8(const nn_dequantize_t *p, const int8_t *input, float *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = p->values[input[i] + 128];
    }
}
