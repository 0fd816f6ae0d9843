/* out[i] = clamp(zp_out + requant(in[i] - zp_in))
 *
 * Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

void nn_rescale_s8(const nn_rescale_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = nn_output_s8(input[i] + p->input_offset, p->requant, p->output_offset, INT8_MIN,
                                 INT8_MAX);
    }
}
