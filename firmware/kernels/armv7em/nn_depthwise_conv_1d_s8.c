/* out[n,l,t,c] = clamp(zp + requant_c(bias[c] + sum over k of
 *                (in[n, l, t*s - pad + k*d, c] - zp_in) * w[k,c]))
 *
 * Windows along lines, four channels at a time, for a whole image: p->group does the work.
 * MACs: n*l*t*c*k. Rounding: double, in a short form.
 */
#include "layout/nn_offsets.h"
#include "nn_depthwise.h"

void nn_depthwise_conv_1d_s8(const nn_depthwise_1d_t *p, const int8_t *input, int8_t *output,
                             int8_t *scratch)
{
    const int32_t depth = p->channels;
    int32_t *const words = (int32_t *)(void *)scratch;
    int32_t *const line = words + (p->kernel / 2 + 1) * (NN_STEP_BYTES / 4);
    const int32_t zero = (int8_t)(p->pad_word & 0xFF);
    const int32_t both = zero * 65536 + (zero & 0xFFFF);
    for (int32_t i = 0; i < p->pairs * NN_GROUP; i++) {
        line[i] = both;
    }
    for (int32_t n = 0; n < p->images; n++) {
        const int8_t *taps = p->taps;
        for (int32_t c = 0; c < depth; c += NN_GROUP) {
            const int32_t channels = depth - c < NN_GROUP ? depth - c : NN_GROUP;
            const nn_depthwise_group_t group = {.taps = taps,
                                                .values = p->values + NN_GROUP * c,
                                                .input = input + c + channels - NN_GROUP,
                                                .output = output + c,
                                                .scratch = words,
                                                .channels = channels};
            p->group(p, &group);
            taps += (p->kernel + 1) / 2 * (2 * NN_GROUP);
        }
        input += p->input_image;
        output += p->output_image;
    }
}
