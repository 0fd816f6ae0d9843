/* out[n,y,x,o] = clamp(requant_o(bias[o] + sum over ky,kx,c of
 *                in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are gathered once, then multiplied by all channels
 * (nn_quad_s16); the one to three pixels that are left one at a time (nn_pixel_s16). Rows of the
 * input are copied to scratch with their borders filled in, as nn_conv_2d_packed_s8 does it.
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: wide, in a short form; sums of 32 bits.
 */
#include "nn_quads.h"
#include "nn_wide.h"

static void nn_compute(const nn_conv_packed_t *p, const int8_t *const *in, int32_t pixels,
                       uint32_t *x, int8_t *output)
{
    int16_t *const out = (int16_t *)(void *)output;
    uint32_t *next = x;
    for (int32_t at = 0; at < p->parts * p->part_bytes; at += p->part_bytes) {
        const int8_t *part[NN_QUAD];
        for (int32_t i = 0; i < pixels; i++) {
            part[i] = in[i] + at;
        }
        next = pixels == NN_QUAD ? nn_gather_quad_s16(next, part, &p->runs)
                                 : nn_gather_words(next, part[0], &p->runs);
    }
    if (pixels == NN_QUAD) {
        nn_channels_s16(&p->quad, x, out, p->size.out_depth / 2);
    } else {
        nn_pixel_s16(&p->quad, x, out);
    }
}

void nn_conv_2d_packed_s16(const nn_conv_packed_t *p, const int16_t *input, int16_t *output,
                           int8_t *scratch)
{
    nn_images(p, (const int8_t *)input, (int8_t *)output, scratch);
}
