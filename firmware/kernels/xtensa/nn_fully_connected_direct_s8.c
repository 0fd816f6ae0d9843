/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * As nn_fully_connected_bytes_s8, but the inputs stay where they are and as they are. Their number
 * is a multiple of four. MACs: batches*output_depth*input_depth. Scratch: none. Rounding: double,
 * in a short form.
 */
#include "nn_trio.h"

#define SIGN 0x80U /* of an int8; a byte plus 128 is the byte with its sign turned */

void nn_fully_connected_direct_s8(const nn_dense_bytes_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t batch = 0; batch < p->batches; batch++) {
        const uint8_t *x = (const uint8_t *)input;
        const uint8_t *const end = x + p->input_depth;
        uint32_t sum = 0;
        do {
            sum += (x[0] ^ SIGN) + (x[1] ^ SIGN) + (x[2] ^ SIGN) + (x[3] ^ SIGN);
            x += 4;
        } while (x != end);
        nn_dense_direct_s8(p, input, output, -128 * (int32_t)sum);
        input += p->input_depth;
        output += p->output_depth;
    }
}
