/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx < 3 of
 *                (in[n, y*sh - ph + ky, x*sw - pw + kx, o / m] - zp_in) * w[ky,kx,o]))
 *
 * m is the depth multiplier. A channel is copied to a plane of halfwords before any of its outputs
 * is written, so these may take the place of its inputs. MACs: n*h*w*out_c*9. Rounding: double, in
 * two products.
 */
#include <stdbool.h>

#include "nn_mac16.h"

#define WORDS(bytes) ((int32_t)(bytes) / 4 + NN_NINE_WORDS)

static const int32_t *nn_next_channel(const int32_t *stream)
{
    const nn_mac_t *const mac = (const nn_mac_t *)(const void *)stream;
    const bool is_kept = (mac->shift & NN_MAC_KEPT) != 0;
    return stream + (is_kept ? WORDS(sizeof(nn_mac_kept_t)) : WORDS(sizeof(nn_mac_t)));
}

void nn_depthwise_conv_2d_nine_s8(const nn_depthwise_nine_t *p, const int8_t *input, int8_t *output,
                                  int8_t *scratch)
{
    int16_t *const plane = (int16_t *)(void *)scratch;
    for (int32_t i = 0; i < 2 * p->plane_words; i++) {
        plane[i] = (int16_t)(p->pad_value + 128);
    }
    for (int32_t n = 0; n < p->images; n++) {
        const int32_t *stream = p->stream;
        int8_t *out = output;
        for (int32_t c = 0; c < p->channels; c++) {
            nn_plane_s8(&p->plane, input + c, plane);
            for (int32_t m = 0; m < p->depth_multiplier; m++) {
                nn_nine_s8(&p->nine, (const nn_mac_t *)(const void *)stream, plane, out++);
                stream = nn_next_channel(stream);
            }
        }
        input += p->input_bytes;
        output += p->output_bytes;
    }
}
