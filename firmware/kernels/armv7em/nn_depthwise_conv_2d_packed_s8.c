/* out[n,y,x,c] = clamp(zp + requant_c(bias[c] + sum over ky,kx of
 *                (in[n, y - ph + ky, x - pw + kx, c] - zp_in) * w[ky,kx,c]))
 *
 * Four channels at a time, for a whole image: nn_depthwise_group_s8 does the work, this file
 * expands the weights of the four and steps through them. A number of channels that is no multiple
 * of four ends with a group that starts early, and whose first channels are left alone.
 * MACs: n*h*w*c*9. Rounding: double, in a short form.
 */
#include "nn_packed.h"

#define TAPS 9

static int32_t nn_two_halves(int32_t low, int32_t high)
{
    return (int32_t)(((uint32_t)low & 0xFFFFU) | ((uint32_t)high << 16));
}

static void nn_expand_channel(const nn_depthwise_packed_t *p, int32_t channel, int32_t *words)
{
    const int8_t *w = p->taps + (TAPS + 1) * channel;
    const int32_t *values = p->values + 3 * channel;
    const int32_t shift = w[TAPS];
    const int32_t scale = p->form == NN_SIGN ? 2 : 1 << shift;
    for (int32_t kx = 0; kx < 3; kx++, w++) {
        *words++ = nn_two_halves(w[0] * scale, w[3] * scale);
        *words++ = nn_two_halves(w[3] * scale, w[6] * scale);
    }
    for (int32_t i = 0; i < 3; i++) {
        *words++ = values[i];
    }
    *words = shift;
}

void nn_depthwise_conv_2d_packed_s8(const nn_depthwise_packed_t *p, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    const int32_t depth = p->input.c;
    int32_t *const stream = (int32_t *)(void *)scratch;
    uint32_t *const ring = (uint32_t *)(void *)(stream + NN_GROUP * NN_CHANNEL_WORDS);
    const int32_t zero = (int8_t)(p->pad_word & 0xFF);
    for (int32_t i = 0; i < p->columns * NN_PAIR_SLOTS * NN_GROUP; i++) {
        ring[i] = (uint32_t)nn_two_halves(zero, zero);
    }
    for (int32_t n = 0; n < p->input.n; n++) {
        for (int32_t c = 0; c < depth; c += NN_GROUP) {
            const int32_t channels = depth - c < NN_GROUP ? depth - c : NN_GROUP;
            const nn_depthwise_group_t group = {.stream = stream,
                                                .ring = ring,
                                                .input = input + c + channels - NN_GROUP,
                                                .output = output + c,
                                                .channels = channels};
            for (int32_t i = 0; i < channels; i++) {
                nn_expand_channel(p, c + i, stream + i * NN_CHANNEL_WORDS);
            }
            nn_depthwise_group_s8(p, &group);
        }
        input += p->input.h * p->input.w * depth;
        output += p->output.h * p->output.w * depth;
    }
}
