/* out[i] = requant(1 / sqrt(in[i])), the root with 20 bits behind the point; 32767 of 0 and less
 *
 * | in  | input  | int16 [count] | 0 |
 * | out | output | int16 [count] | 0 |
 * Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_root.h"

#define NN_ROOT_SHIFT 20

void nn_rsqrt_s16(const nn_rsqrt_t *p, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        if (input[i] <= 0) {
            output[i] = INT16_MAX;
            continue;
        }
        nn_requant_t factor = nn_inverse_root(input[i]);
        factor.shift += NN_ROOT_SHIFT;
        const int32_t root = nn_requantize(1, factor);
        output[i] = nn_clamp_s16(nn_requantize(root, p->requant), INT16_MIN, INT16_MAX);
    }
}
