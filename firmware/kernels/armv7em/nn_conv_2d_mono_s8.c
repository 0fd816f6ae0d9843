/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx of
 *                (in[n, y*sh - ph + ky, x*sw - pw + kx] - zp_in) * w[o,ky,kx]))
 *
 * 3 x 3 of images of one channel, a row at a time (nn_mono_row_s8). Its windows are padded rows,
 * of which three are kept. Weights are widened first, as every window reads them all.
 * MACs: n*h*w*out_c*9. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_depthwise.h"

static uint32_t nn_halves(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16;
}

static void nn_widen_taps(const nn_mono_t *p, int32_t *stream)
{
    for (int32_t c = 0; c < p->output.c; c++) {
        const int8_t *const taps = p->taps + NN_MONO_TAPS * c;
        const int32_t scale = 1 << taps[9];
        const uint32_t words[5] = {nn_halves(taps[6] * scale, taps[8] * scale),
                                   nn_halves(taps[0] * scale, taps[3] * scale),
                                   nn_halves(taps[2] * scale, taps[5] * scale),
                                   nn_halves(taps[1] * scale, taps[4] * scale),
                                   nn_halves(taps[7] * scale, 0)};
        memcpy(stream, words, sizeof(words));
        memcpy(stream + 5, p->values + 3 * c, 12);
        stream += NN_MONO_WORDS;
    }
}

/* Row y of the image, or one above or below it. */
static void nn_load_mono(const nn_mono_t *p, const int8_t *image, int32_t y, int8_t *row)
{
    if (y < 0 || y >= p->input.h) {
        memset(row, p->pad_value, (size_t)p->row_bytes);
    } else {
        memcpy(row + p->pad_w, image + y * p->input.w, (size_t)p->inside);
    }
}

void nn_conv_2d_mono_s8(const nn_mono_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    int32_t *const stream = (int32_t *)(void *)scratch;
    int8_t *const rows = scratch + 4 * NN_MONO_WORDS * p->output.c;
    nn_mono_row_t row = {.column = 0,
                         .stride = p->stride_w,
                         .stream = stream,
                         .channels = p->output.c,
                         .pixels = p->output.w};
    nn_widen_taps(p, stream);
    memset(rows, p->pad_value, (size_t)(3 * p->row_bytes));
    for (int32_t n = 0; n < p->output.n; n++) {
        int32_t next = 0;
        for (int32_t y = 0; y < p->output.h * p->stride_h; y += p->stride_h) {
            for (next = nn_max(next, y); next < y + 3; next++) {
                nn_load_mono(p, input, next - p->pad_h, rows + next % 3 * p->row_bytes);
            }
            for (int32_t k = 0; k < 3; k++) {
                row.rows[k] = rows + (y + k) % 3 * p->row_bytes;
            }
            nn_mono_row_s8(&row, output);
            output += p->output.w * p->output.c;
        }
        input += p->input.h * p->input.w;
    }
}
