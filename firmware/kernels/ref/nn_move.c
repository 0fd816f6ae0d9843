/* out[i] = in[i]
 *
 * | in  | input  | words [bytes / 4] |
 * | out | output | words [bytes / 4], before or behind the input |
 * Rows between operators that run together, some rows at a time: what the next turn needs again
 * goes to the front. Four words a turn, since a library's memcpy may take single bytes. Scratch:
 * none. Rounding: none.
 */
#include <string.h>

#include "nn_kernels.h"

void nn_move(const nn_move_t *p, const void *input, void *output)
{
    const char *in = __builtin_assume_aligned(input, 4);
    char *out = __builtin_assume_aligned(output, 4);
    const char *const end = in + p->bytes;
    for (; end - in >= 16; in += 16, out += 16) {
        memcpy(out, in, 16);
    }
    for (; in != end; in += 4, out += 4) {
        memcpy(out, in, 4);
    }
}
