/* What nn_quad_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_pair.h"

void nn_quad_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride)
{
    const int32_t *stream = quad->stream;
    for (int32_t pair = 0; pair < quad->count / 2; pair++) {
        for (int32_t pixel = 0; pixel < NN_QUAD; pixel++) {
            nn_pair_outputs(quad, stream, x + pixel, NN_QUAD, output + pixel * stride + 2 * pair);
        }
        stream += nn_pair_words(quad);
    }
}
