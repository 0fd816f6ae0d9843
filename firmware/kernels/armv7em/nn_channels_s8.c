/* Four gathered pixels times all output channels, of which the last may have no partner.
 * Rounding: double, in a short form.
 */
#include "nn_packed.h"

void nn_channels_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride)
{
    nn_quad_t part = *quad;
    part.count >>= 1;
    if (part.count != 0) {
        nn_quad_s8(&part, x, output, stride);
    }
    if (quad->count & 1) {
        int8_t last[2 * NN_QUAD];
        part.stream += part.count * (NN_PAIR_WORDS + part.steps);
        output += 2 * part.count;
        part.count = 1;
        nn_quad_s8(&part, x, last, 2);
        for (int32_t i = 0; i < NN_QUAD; i++) {
            output[i * stride] = last[2 * i];
        }
    }
}
