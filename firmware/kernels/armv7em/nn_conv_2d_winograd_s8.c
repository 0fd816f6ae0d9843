/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y - ph + ky, x - pw + kx, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Windows of three columns, by Winograd's F(2,3) along a row (nn_winograd.h): two thirds of the
 * multiplications, weights of 2.67 times the bytes. Four tiles of two pixels at a time, each from
 * another quarter of an output row.
 *
 * Scratch holds, for each such group of a row, kernel_h slots of one input row each, transformed;
 * row r of group g lies in slot g * kernel_h + r - origin and so on as in nn_conv_2d_rows_s8.c.
 *
 * MACs: n*h*w*out_c*kh*2 in place of 3. Rounding: double, in a short form.
 */
#include "nn_winograd.h"

typedef struct {
    uint32_t *slots;
    const int8_t *border;   /* a pixel of the input's zero point */
    int32_t origin, loaded; /* rows of the padded image */
} nn_slots_t;

static int32_t nn_groups(const nn_winograd_t *p)
{
    return p->output.w / (2 * NN_QUAD);
}

static int32_t nn_slot_words(const nn_winograd_t *p)
{
    return p->input.c / 2 * NN_WINOGRAD_WORDS;
}

static void nn_load_row(const nn_winograd_t *p, const int8_t *image, nn_slots_t *s)
{
    const int32_t y = s->loaded - p->window.pad_h;
    const int32_t width = y >= 0 && y < p->input.h ? p->input.w : 0;
    const int8_t *const row = image + y * p->input.w * p->input.c;
    uint32_t *to = s->slots + (s->loaded - s->origin) * nn_slot_words(p);
    int32_t x = -p->window.pad_w;
    for (int32_t tile = 0; tile < NN_QUAD; tile++, to++) {
        for (int32_t group = 0; group < nn_groups(p); group++, x += 2) {
            const int8_t *in[4];
            for (int32_t i = 0; i < 4; i++) {
                in[i] = x + i >= 0 && x + i < width ? row + (x + i) * p->input.c : s->border;
            }
            nn_winograd_tile_s8(to + group * p->window.kernel_h * nn_slot_words(p), in,
                                p->input.c / 4);
        }
    }
    s->loaded++;
}

static void nn_row(const nn_winograd_t *p, const nn_slots_t *s, int32_t first, int8_t *output)
{
    const uint32_t *x = s->slots + (first - s->origin) * nn_slot_words(p);
    for (int32_t group = 0; group < nn_groups(p); group++) {
        nn_winograd_s8(&p->quad, x, output, p->output.w / NN_QUAD * p->output.c);
        x += p->window.kernel_h * nn_slot_words(p);
        output += 2 * p->output.c;
    }
}

void nn_conv_2d_winograd_s8(const nn_winograd_t *p, const int8_t *input, int8_t *output,
                            int8_t *scratch)
{
    uint32_t *const slots = (uint32_t *)(void *)scratch;
    uint32_t *const end = slots + (nn_groups(p) * p->window.kernel_h + p->spare) * nn_slot_words(p);
    int8_t *const border = (int8_t *)(void *)end;
    for (int32_t i = 0; i < p->input.c; i++) {
        border[i] = (int8_t)p->pad_value;
    }
    for (int32_t n = 0; n < p->output.n; n++) {
        nn_slots_t s = {.slots = slots, .border = border};
        for (int32_t y = 0; y < p->output.h; y++) {
            if (y - s.origin > p->spare) {
                nn_move_words_s8(slots, slots + (y - s.origin) * nn_slot_words(p), end);
                s.origin = y;
            }
            while (s.loaded < y + p->window.kernel_h) {
                nn_load_row(p, input, &s);
            }
            nn_row(p, &s, y, output);
            output += p->output.w * p->output.c;
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
