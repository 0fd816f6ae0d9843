/* What nn_pixel_s16.S computes, for machines without its instructions. Rounding: wide. */
#include "nn_wide_pair.h"

void nn_pixel_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output)
{
    const int32_t *stream = quad->stream;
    for (int32_t channel = 0; channel < quad->count; channel += 2) {
        int16_t outputs[2];
        nn_wide_outputs(quad, stream, x, 1, outputs);
        output[channel] = outputs[0];
        if (channel + 1 < quad->count) {
            output[channel + 1] = outputs[1];
        }
        stream += NN_WIDE_WORDS + quad->steps;
    }
}
