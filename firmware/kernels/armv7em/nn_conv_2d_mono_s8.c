/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx of
 *                (in[n, y*sh - ph + ky, x*sw - pw + kx] - zp_in) * w[o,ky,kx]))
 *
 * 3 x 3 of images of one channel, a row at a time (nn_mono_row_s8). Its windows are padded rows,
 * of which three are kept. Weights are widened first, as every window reads them all.
 * MACs: n*h*w*out_c*9. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_depthwise.h"

static void nn_widen_taps(const nn_mono_t *p, int32_t *stream)
{
    const int32_t *values = p->values;
    const int8_t *taps = p->taps;
    for (int32_t c = 0; c < p->channels; c++) {
        const uint32_t bits = nn_weight_shift(values[1]);
        for (int32_t k = 0; k < NN_MONO_TAPS; k += 2) {
            const uint32_t low = (uint32_t)*taps++ << bits & 0xFFFFU;
            *stream++ = (int32_t)((uint32_t)*taps++ << bits << 16 | low);
        }
        *stream++ = *values++;
        *stream++ = nn_plain_multiplier(*values++);
        *stream++ = p->out_zero_point * (1 << NN_CODE_BITS);
    }
}

/* Row y of the image, or one above or below it. */
static void nn_load_mono(const nn_mono_t *p, const int8_t *image, int32_t y, int8_t *row)
{
    if (y < 0 || y >= p->height) {
        memset(row, p->pad_value, p->row_bytes);
    } else {
        memcpy(row + p->pad_w, image + y * p->width, p->inside);
    }
}

void nn_conv_2d_mono_s8(const nn_mono_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    int32_t *const stream = (int32_t *)(void *)scratch;
    nn_mono_row_t row;
    row.column = 0;
    row.stride = p->stride_w;
    row.stream = stream;
    row.channels = p->channels;
    row.pixels = p->out_width;
    int8_t *rows = scratch + 4 * NN_MONO_WORDS * p->channels;
    nn_widen_taps(p, stream);
    memset(rows, p->pad_value, 3 * (size_t)p->row_bytes);
    for (int32_t k = 0; k < 3; k++) {
        row.rows[k] = rows;
        rows += p->row_bytes;
    }
    for (int32_t n = 0; n < p->images; n++) {
        int32_t loaded = -p->pad_h;
        int32_t end = loaded + 3;
        for (int32_t y = 0; y < p->out_height; y++) {
            for (; loaded != end; loaded++) {
                int8_t *const last = row.rows[0];
                row.rows[0] = row.rows[1];
                row.rows[1] = row.rows[2];
                row.rows[2] = last;
                nn_load_mono(p, input, loaded, last);
            }
            nn_mono_row_s8(&row, output);
            output += p->out_width * p->channels;
            end += p->stride_h;
        }
        input += p->height * p->width;
    }
}
