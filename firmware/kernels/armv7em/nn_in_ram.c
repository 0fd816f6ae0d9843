/* to[i] = words[i], both aligned: eight words at a time, by nn_move_words_s8. Rounding: none. */
#include "nn_packed.h"

const int32_t *nn_in_ram(int8_t *to, const int32_t *words, int32_t count)
{
    int32_t *const copy = (int32_t *)(void *)to;
    const int32_t whole = count & ~7;
    if (whole > 0) {
        nn_move_words_s8((uint32_t *)copy, (const uint32_t *)words,
                         (const uint32_t *)words + whole);
    }
    for (int32_t i = whole; i < count; i++) {
        copy[i] = words[i];
    }
    return copy;
}
