/* to[i] = words[i], aligned; four words in a row, since loads behind each other take a cycle each.
 */
#include "nn_packed.h"

const int32_t *nn_in_ram(int8_t *to, const int32_t *words, int32_t count)
{
    int32_t *const copy = (int32_t *)(void *)to;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const int32_t a = words[i];
        const int32_t b = words[i + 1];
        const int32_t c = words[i + 2];
        const int32_t d = words[i + 3];
        copy[i] = a;
        copy[i + 1] = b;
        copy[i + 2] = c;
        copy[i + 3] = d;
    }
    for (; i < count; i++) {
        copy[i] = words[i];
    }
    return copy;
}
