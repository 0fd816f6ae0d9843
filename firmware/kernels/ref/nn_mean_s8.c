/* out[kept] = clamp(zp + requant(sum over reduced of in[kept, reduced] - count * zp_in))
 *
 * Axes are strided walks, so any set of axes reduces. Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_reduced_sum(const nn_axis_t *axes, const int8_t *input)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < axes[0].count; i++) {
        for (int32_t j = 0; j < axes[1].count; j++) {
            for (int32_t k = 0; k < axes[2].count; k++) {
                const int8_t *in =
                    input + i * axes[0].stride + j * axes[1].stride + k * axes[2].stride;
                for (int32_t l = 0; l < axes[3].count; l++) {
                    sum += in[l * axes[3].stride];
                }
            }
        }
    }
    return sum;
}

void nn_mean_s8(const nn_mean_t *p, const int8_t *input, int8_t *output)
{
    const nn_axis_t *kept = p->kept;
    for (int32_t i = 0; i < kept[0].count; i++) {
        for (int32_t j = 0; j < kept[1].count; j++) {
            for (int32_t k = 0; k < kept[2].count; k++) {
                const int8_t *in =
                    input + i * kept[0].stride + j * kept[1].stride + k * kept[2].stride;
                for (int32_t l = 0; l < kept[3].count; l++) {
                    const int32_t sum = nn_reduced_sum(p->reduced, in + l * kept[3].stride);
                    *output++ = nn_output_s8(nn_wrapping_add(sum, p->input_offset_sum), p->requant,
                                             p->output_offset, INT8_MIN, INT8_MAX);
                }
            }
        }
    }
}
