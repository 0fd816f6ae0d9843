/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, (y + ph - ky) / sh, (x + pw - kx) / sw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Outputs whose y + ph and x + pw leave the same rests are a convolution of the input with every
 * sh-th row and every sw-th column of the weights, turned around. Four of them in a row are taken
 * at a time (nn_quad_s8), the one to three that are left singly (nn_pixel_s8). Rows of the input
 * are copied to scratch with their borders filled in, as many as a window needs. MACs:
 * n*in_h*in_w*in_c*kh*kw*out_c at most. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_dsp.h"
#include "nn_packed.h"

static void nn_load_row(const nn_transpose_packed_t *p, const int8_t *image, int32_t y, int8_t *row)
{
    const int32_t bytes = p->input.w * p->input.c;
    const int8_t *const from = image + y * bytes;
    const uint32_t four = nn_four_bytes(p->pad_value);
    int32_t i = 0;
    for (int32_t at = 0; at < p->row_bytes; at += 4) {
        memcpy(row + at, &four, 4);
    }
    row += p->left * p->input.c;
    if (y < 0 || y >= p->input.h) {
        return;
    }
    for (; i + 4 <= bytes; i += 4) {
        memcpy(row + i, from + i, 4);
    }
    for (; i < bytes; i++) {
        row[i] = from[i];
    }
}

/* All outputs of a row with the same rest of x. rows: of the input, the last one that they need is
 * `last`; column: where the first window begins; `output` of the first, `count` of them. */
static void nn_phase(const nn_transpose_packed_t *p, const nn_phase_t *phase, int8_t *scratch,
                     int32_t last, int32_t column, int8_t *output, int32_t count)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    const int8_t *const rows = scratch + p->x_bytes;
    const int32_t stride = p->window.stride_w * p->output.c;
    const int32_t depth = p->input.c;
    const nn_widen_t row_words = {.words = phase->words};
    nn_quad_t quad = p->quad;
    quad.stream += phase->at;
    quad.steps = (uint16_t)(2 * phase->rows * phase->words);
    for (int32_t at = column * depth; count > 0;) {
        const int32_t pixels = count >= NN_QUAD ? NN_QUAD : 1;
        uint32_t *next = x;
        for (int32_t row = last + 1 - phase->rows; row <= last; row++) {
            const int8_t *const in = rows + row % p->rows * p->row_bytes + at;
            const int8_t *const in_quad[NN_QUAD] = {in, in + depth, in + 2 * depth, in + 3 * depth};
            if (pixels == NN_QUAD) {
                nn_widen_quad_s8(next, in_quad, 1, &row_words);
                next += 2 * NN_QUAD * phase->words;
            } else {
                next = nn_widen_steps(next, in, 2 * phase->words);
            }
        }
        if (pixels == NN_QUAD) {
            nn_channels_s8(&quad, x, output, stride);
        } else {
            nn_pixel_s8(&quad, x, output);
        }
        output += pixels * stride;
        at += pixels * depth;
        count -= pixels;
    }
}

/* One row of the output; `last` counts the input's rows from the first that lies in scratch. */
static void nn_row(const nn_transpose_packed_t *p, const nn_phase_t *phases, int8_t *scratch,
                   int32_t last, int8_t *output)
{
    const int32_t stride = p->window.stride_w;
    int32_t rest = p->window.pad_w % stride;
    int32_t column = p->window.pad_w / stride + p->left;
    for (int32_t x = 0; x < stride && x < p->output.w; x++) {
        const nn_phase_t *const phase = phases + rest;
        nn_phase(p, phase, scratch, last, column + 1 - phase->columns, output + x * p->output.c,
                 (p->output.w - x + stride - 1) / stride);
        if (++rest == stride) {
            rest = 0;
            column++;
        }
    }
}

void nn_transpose_conv_packed_s8(const nn_transpose_packed_t *p, const int8_t *input,
                                 int8_t *output, int8_t *scratch)
{
    for (int32_t n = 0; n < p->output.n; n++) {
        int32_t rest = p->window.pad_h % p->window.stride_h;
        int32_t last = p->window.pad_h / p->window.stride_h + p->rows - 1;
        int32_t loaded = 0; /* rows, of which the first p->rows - 1 lie above the image */
        for (int32_t y = 0; y < p->output.h; y++) {
            for (; loaded <= last; loaded++) {
                nn_load_row(p, input, loaded + 1 - p->rows,
                            scratch + p->x_bytes + loaded % p->rows * p->row_bytes);
            }
            nn_row(p, p->phases + rest * p->window.stride_w, scratch, last, output);
            output += p->output.w * p->output.c;
            if (++rest == p->window.stride_h) {
                rest = 0;
                last++;
            }
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
