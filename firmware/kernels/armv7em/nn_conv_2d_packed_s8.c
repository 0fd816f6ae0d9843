/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are gathered and widened once, then multiplied by all
 * channels (nn_quad_s8); the one to three pixels that are left one at a time (nn_pixel_s8). Rows of
 * the input are copied to scratch with their borders filled in, so no window meets a border, and a
 * row may be overwritten by the output as soon as it is there. Scratch holds no more rows than four
 * pixels need; where those move on, the rows that they still need move to its front.
 * MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a short form.
 */
#include "nn_quads.h"

/* nn_gather_quad_s8 for one pixel. */
static uint32_t *nn_gather_pixel(uint32_t *x, const int8_t *in, const nn_runs_t *runs)
{
    const int8_t *run = in;
    const int8_t *const end = in + runs->bytes;
    for (; run != end; run += 4 * runs->words + runs->step) {
        x = nn_widen_steps(x, run, 2 * runs->words);
    }
    if (runs->tail > 0) {
        const int8_t *const tail = in + 4 * runs->words;
        *x++ = ((uint32_t)tail[0] & 0xFFFFU) | (uint32_t)tail[2 * runs->tail] << 16;
        *x++ = (uint32_t)tail[runs->tail];
    }
    return x;
}

static void nn_compute(const nn_conv_packed_t *p, const int8_t *const *in, int32_t pixels,
                       uint32_t *x, int8_t *output)
{
    uint32_t *next = x;
    if (p->parts == 1 && pixels == NN_QUAD) {
        (void)nn_gather_quad_s8(next, in, &p->runs);
    } else {
        for (int32_t at = 0; at < p->parts * p->part_bytes; at += p->part_bytes) {
            const int8_t *part[NN_QUAD];
            for (int32_t i = 0; i < pixels; i++) {
                part[i] = in[i] + at;
            }
            next = pixels == NN_QUAD ? nn_gather_quad_s8(next, part, &p->runs)
                                     : nn_gather_pixel(next, part[0], &p->runs);
        }
    }
    if (pixels == NN_QUAD) {
        nn_channels_s8(&p->quad, x, output, p->size.out_depth);
    } else {
        nn_pixel_s8(&p->quad, x, output);
    }
}

void nn_conv_2d_packed_s8(const nn_conv_packed_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch)
{
    nn_images(p, input, output, scratch);
}
