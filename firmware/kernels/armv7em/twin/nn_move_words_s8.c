/* What nn_move_words_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_packed.h"

void nn_move_words_s8(uint32_t *to, const uint32_t *from, const uint32_t *end)
{
    while (from < end) {
        for (int32_t i = 0; i < 8; i++) {
            *to++ = *from++;
        }
    }
}
