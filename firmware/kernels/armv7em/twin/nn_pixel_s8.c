/* What nn_pixel_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_pair.h"

void nn_pixel_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output)
{
    const int32_t *stream = quad->stream;
    for (int32_t channel = 0; channel < quad->count; channel += 2) {
        int8_t outputs[2];
        nn_pair_outputs(quad, stream, x, 1, outputs);
        output[channel] = outputs[0];
        if (channel + 1 < quad->count) {
            output[channel + 1] = outputs[1];
        }
        stream += nn_pair_words(quad);
    }
}
