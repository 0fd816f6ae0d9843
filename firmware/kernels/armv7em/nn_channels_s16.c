/* Four gathered pixels times all output channels, of which the last may have no partner.
 * Rounding: wide, in a short form.
 */
#include "nn_wide.h"

void nn_channels_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output, int32_t stride)
{
    nn_quad_t part = *quad;
    part.count >>= 1;
    if (part.count != 0) {
        nn_quad_s16(&part, x, output, stride);
    }
    if (quad->count & 1) {
        int16_t last[2 * NN_QUAD];
        part.stream += part.count * (NN_WIDE_WORDS + part.steps);
        output += 2 * part.count;
        part.count = 1;
        nn_quad_s16(&part, x, last, 2);
        for (int32_t i = 0; i < NN_QUAD; i++) {
            output[i * stride] = last[2 * i];
        }
    }
}
