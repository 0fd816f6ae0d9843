/* What nn_widen_quad_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_packed.h"

static uint32_t nn_halves(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFU) | ((uint32_t)high << 16);
}

void nn_widen_quad_s8(uint32_t *x, const int8_t *const *pixels, int32_t columns,
                      const nn_widen_t *p)
{
    for (int32_t column = 0; column < columns; column++) {
        for (int32_t word = 0; word < p->words; word++) {
            for (int32_t pixel = 0; pixel < NN_QUAD; pixel++) {
                const int8_t *in =
                    pixels[pixel] + column * (4 * p->words - p->back_bytes) + 4 * word;
                x[pixel] = nn_halves(in[0], in[2]);
                x[NN_QUAD + pixel] = nn_halves(in[1], in[3]);
            }
            x += 2 * NN_QUAD;
        }
        x += p->gap_bytes / 4;
    }
}
