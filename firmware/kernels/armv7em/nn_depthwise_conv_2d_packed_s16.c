/* out[n,y,x,c] = clamp(requant_c(bias[c] + sum over ky,kx of
 *                in[n, y*s - ph + ky, x*s - pw + kx, c] * w[ky,kx,c]))
 *
 * As nn_depthwise_conv_2d_packed_s8: four channels at a time, the last of which may begin early.
 * MACs: n*h*w*c*9. Rounding: wide, in a short form; sums of 32 bits.
 */
#include <string.h>

#include "nn_wide.h"

void nn_depthwise_conv_2d_packed_s16(const nn_depthwise_packed_t *p, const int16_t *input,
                                     int16_t *output, int8_t *scratch)
{
    const int32_t depth = p->depth;
    int32_t *const words = (int32_t *)(void *)scratch;
    memset(words + NN_GROUP * NN_WIDE_CHANNEL_WORDS, 0, 4 * (size_t)p->ring);
    for (int32_t n = 0; n < p->images; n++) {
        const int32_t *stream = p->stream;
        for (int32_t c = 0; c < depth; c += NN_GROUP) {
            const int32_t channels = depth - c < NN_GROUP ? depth - c : NN_GROUP;
            const nn_depthwise_group_t group = {
                .stream = stream,
                .input = (const int8_t *)(input + c + channels - NN_GROUP),
                .output = (int8_t *)(output + c),
                .scratch = words,
                .channels = channels};
            p->group(p, &group);
            stream += NN_GROUP_WORDS;
        }
        input += p->height * p->width * depth;
        output += p->out_height * p->out_width * depth;
    }
}
