/* out[n,y,x,o] = clamp(requant_o(bias[o] + sum over ky,kx,c of
 *                in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] * w[o,ky,kx,c]))
 *
 * As nn_conv_2d_packed_s16 where sums may leave 32 bits: one pixel at a time (nn_pixel_long_s16).
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: wide, in a long form; sums of 64 bits.
 */
#include "nn_quads.h"
#include "nn_wide.h"

static void nn_compute(const nn_conv_packed_t *p, const int8_t *const *in, int32_t pixels,
                       uint32_t *x, int8_t *output)
{
    for (int32_t i = 0; i < pixels; i++) {
        uint32_t *next = x;
        for (int32_t at = 0; at < p->parts * p->part_bytes; at += p->part_bytes) {
            next = nn_gather_words(next, in[i] + at, &p->runs);
        }
        nn_pixel_long_s16(&p->quad, x, (int16_t *)(void *)(output + i * p->size.out_depth));
    }
}

void nn_conv_2d_long_s16(const nn_conv_packed_t *p, const int16_t *input, int16_t *output,
                         int8_t *scratch)
{
    nn_images(p, (const int8_t *)input, (int8_t *)output, scratch);
}
