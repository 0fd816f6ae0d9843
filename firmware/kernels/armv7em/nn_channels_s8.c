/* Four gathered pixels times all output channels, of which the last may have no partner.
 * Rounding: double, in a short form.
 */
#include "nn_packed.h"

void nn_channels_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride)
{
    const int32_t whole = quad->count & ~1;
    if (whole != 0) {
        nn_quad_s8(quad, x, output, stride);
    }
    if (quad->count != whole) {
        int8_t last[2 * NN_QUAD];
        nn_quad_t part = *quad;
        part.stream += whole / 2 * nn_pair_words(quad);
        part.count = 2;
        nn_quad_s8(&part, x, last, 2);
        for (int32_t i = 0; i < NN_QUAD; i++) {
            output[whole + i * stride] = last[2 * i];
        }
    }
}
