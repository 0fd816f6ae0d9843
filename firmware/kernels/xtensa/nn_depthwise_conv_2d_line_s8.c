/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, o / m] - zp_in) * w[ky,kx,o]))
 *
 * m is the depth multiplier. A channel is copied to a plane before any of its outputs is written,
 * so these may take the place of its inputs. MACs: n*h*w*out_c*kh*kw. Rounding: double, in a short
 * form.
 */
#include "nn_trio.h"

/* The inputs of one channel, plus 128. */
static void nn_copy_plane(const nn_depthwise_line_t *p, const int8_t *input, uint8_t *plane)
{
    const int32_t step = p->image_input;
    plane += p->plane_start;
    for (int32_t line = 0; line < p->lines; line++) {
        const int8_t *in = input;
        uint8_t *const end = plane + p->inputs;
        uint8_t *const end4 = plane + (p->inputs & ~3);
        uint8_t *to = plane;
        for (; to != end4; to += 4) {
            to[0] = (uint8_t)(in[0] + 128);
            in += step;
            to[1] = (uint8_t)(in[0] + 128);
            in += step;
            to[2] = (uint8_t)(in[0] + 128);
            in += step;
            to[3] = (uint8_t)(in[0] + 128);
            in += step;
        }
        for (; to != end; to++) {
            *to = (uint8_t)(*in + 128);
            in += step;
        }
        input += p->image_line;
        plane += p->plane_line;
    }
}

static const int32_t *nn_channel(const nn_depthwise_line_t *p, const int32_t *stream,
                                 const uint8_t *plane, int8_t *output)
{
    const nn_line_channel_t *channel = (const nn_line_channel_t *)(const void *)stream;
    for (int32_t line = 0; line < p->output_lines; line++) {
        nn_line_s8(&p->line, channel, plane, output);
        plane += p->line_inputs;
        output += p->line_outputs;
    }
    return stream + p->channel_words;
}

void nn_depthwise_conv_2d_line_s8(const nn_depthwise_line_t *p, const int8_t *input, int8_t *output,
                                  int8_t *scratch)
{
    uint8_t *const plane = (uint8_t *)scratch;
    for (int32_t i = 0; i < p->plane_bytes; i++) {
        plane[i] = (uint8_t)(p->pad_value + 128);
    }
    for (int32_t n = 0; n < p->images; n++) {
        const int32_t *stream = p->stream;
        int8_t *out = output;
        for (int32_t c = 0; c < p->channels; c++) {
            nn_copy_plane(p, input + c, plane);
            for (int32_t m = 0; m < p->depth_multiplier; m++) {
                stream = nn_channel(p, stream, plane, out++);
            }
        }
        input += p->input_bytes;
        output += p->output_bytes;
    }
}
