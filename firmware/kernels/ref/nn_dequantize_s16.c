/* out[i] = scale * (in[i] - zp), one multiplication in single precision
 *
 * Scratch: none. Rounding: to nearest, ties to even.
 */
#include "nn_kernels.h"

void nn_dequantize_s16(const nn_float_edge_t *p, const int16_t *input, float *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = p->scale * (float)(input[i] - p->zero_point);
    }
}
