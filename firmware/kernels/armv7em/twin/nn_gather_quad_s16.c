/* What nn_gather_quad_s16.S computes, for machines without its instructions. Rounding: none. */
#include <string.h>

#include "nn_wide.h"

uint32_t *nn_gather_quad_s16(uint32_t *x, const int8_t *const *pixels, const nn_runs_t *runs)
{
    int32_t at = 0;
    while (at != runs->bytes) {
        for (int32_t i = 0; i < runs->words; i++, at += 4) {
            for (int32_t pixel = 0; pixel < NN_QUAD; pixel++) {
                memcpy(x++, pixels[pixel] + at, 4);
            }
        }
        at += runs->step;
    }
    return x;
}
