/* out[n,y,x,c] = clamp(zp + requant_c(bias[c] + sum over ky,kx of
 *                (in[n, y*s - ph + ky, x*s - pw + kx, c] - zp_in) * w[ky,kx,c]))
 *
 * Four channels at a time, for a whole image: p->group does the work. A number of
 * channels that is no multiple of four ends with a group that starts early, and whose first
 * channels are left alone.
 * MACs: n*h*w*c*9. Rounding: double, in a short form.
 */
#include "nn_packed.h"

/* The words of the ring that no group fills. */
static void nn_fill_borders(const nn_depthwise_packed_t *p, int32_t *ring)
{
    const uint32_t both = (uint8_t)p->zero_point * 0x01000100U;
    for (int32_t i = 0; i < p->borders; i++) {
        if (i == p->left) {
            ring += p->ring - p->borders;
        }
        *ring++ = (int32_t)both;
    }
}

void nn_depthwise_conv_2d_packed_s8(const nn_depthwise_packed_t *p, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    const int32_t depth = p->depth;
    int32_t *const words = (int32_t *)(void *)scratch;
    nn_fill_borders(p, words + NN_GROUP * NN_CHANNEL_WORDS);
    for (int32_t n = 0; n < p->images; n++) {
        const int32_t *stream = p->stream;
        for (int32_t c = 0; c < depth; c += NN_GROUP) {
            const int32_t channels = depth - c < NN_GROUP ? depth - c : NN_GROUP;
            const nn_depthwise_group_t group = {.stream = stream,
                                                .input = input + c + channels - NN_GROUP,
                                                .output = output + c,
                                                .scratch = words,
                                                .channels = channels};
            p->group(p, &group);
            stream += NN_GROUP_WORDS;
        }
        input += p->height * p->width * depth;
        output += p->out_height * p->out_width * depth;
    }
}
