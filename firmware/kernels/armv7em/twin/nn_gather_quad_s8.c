/* What nn_gather_quad_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_packed.h"

uint32_t *nn_gather_quad_s8(uint32_t *x, const int8_t *const *pixels, const nn_runs_t *runs)
{
    const int32_t count = runs->bytes / (4 * runs->words + runs->step);
    const nn_widen_t run = {.words = runs->words, .back_bytes = -runs->step};
    nn_widen_quad_s8(x, pixels, count, &run);
    x += 2 * NN_QUAD * runs->words * count;
    if (runs->tail > 0) {
        for (int32_t i = 0; i < NN_QUAD; i++) {
            const int8_t *const in = pixels[i] + 4 * runs->words;
            x[i] = ((uint32_t)in[0] & 0xFFFFU) | (uint32_t)in[2 * runs->tail] << 16;
            x[i + NN_QUAD] = (uint32_t)in[runs->tail];
        }
        x += 2 * NN_QUAD;
    }
    return x;
}
