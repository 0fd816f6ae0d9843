/* What nn_plane_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_mac16.h"

void nn_plane_s8(const nn_plane_t *p, const int8_t *input, int16_t *plane)
{
    const int32_t step = p->pair_step / 2;
    for (int32_t line = 0; line < p->lines; line++) {
        int16_t *to = plane + p->start / 2 + 2 * line;
        const int32_t end = 2 * (p->head + p->pairs) + p->tail;
        for (int32_t i = p->head; i < end; i++) {
            to[i / 2 * step + i % 2] = (int16_t)(*input + 128);
            input += p->input_step;
        }
        input += p->line_step;
    }
}
