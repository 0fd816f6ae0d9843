/* What nn_quad_s16.S computes, for machines without its instructions. Rounding: wide. */
#include "nn_wide_pair.h"

void nn_quad_s16(const nn_quad_t *quad, const uint32_t *x, int16_t *output, int32_t stride)
{
    const int32_t *stream = quad->stream;
    for (int32_t pair = 0; pair < quad->count; pair++) {
        for (int32_t pixel = 0; pixel < NN_QUAD; pixel++) {
            nn_wide_outputs(quad, stream, x + pixel, NN_QUAD, output + pixel * stride + 2 * pair);
        }
        stream += NN_WIDE_WORDS + quad->steps;
    }
}
