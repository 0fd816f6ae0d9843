/* Where a stream goes that does not stay in flash. Rounding: none. */
#include "nn_quad.h"

const int32_t *nn_stream_in_ram(const nn_quad_t *quad, int8_t *scratch, int32_t bytes)
{
    const int32_t words = (quad->count + 1) / 2 * nn_pair_words(quad);
    return nn_in_ram(scratch + ((bytes + NN_ALIGNMENT - 1) & -NN_ALIGNMENT), quad->stream, words);
}
