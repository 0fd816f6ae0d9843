/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky, x*sw - pw + kx, c] - zp_in) * w[o,ky,kx,c]))
 *
 * The trick: pixel x goes together with x + w/4, x + w/2 and x + 3w/4 of the same output row. Rows
 * widened that way hold the window of four pixels in one piece, for every x (nn_rows.h): each input
 * is widened once, no window is gathered, borders are filled in beside. Besides the products, four
 * pixels take about 70 instructions.
 *
 * MACs: n*h*w*out_c*kh*kw*in_c, two thirds of it with tiles. Rounding: double, in a short form.
 */
#include "nn_rows.h"

static void nn_row(const nn_conv_rows_t *p, const uint32_t *x, int8_t *output)
{
    for (int32_t group = 0; group < p->groups; group++) {
        p->products(&p->quad, x, output, p->stride_bytes);
        x += p->group_words;
        output += p->group_bytes;
    }
}

/* Make the rows from `first` on start at the first slot again. */
static void nn_move_back(const nn_conv_rows_t *p, nn_slots_t *s, int32_t first)
{
    nn_move_words_s8(s->slots, s->slots + (first - s->origin) * p->slot_words,
                     s->slots + p->slots * p->slot_words);
    s->origin = first;
}

void nn_conv_2d_rows_s8(const nn_conv_rows_t *p, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    int8_t *const beside = scratch + 4 * p->slots * p->slot_words;
    for (int32_t i = 0; i < p->beside_bytes; i++) {
        beside[i] = (int8_t)p->size.pad_value;
    }
    for (int32_t n = 0; n < p->size.images; n++) {
        nn_slots_t s = {.slots = (uint32_t *)(void *)scratch, .beside = beside};
        for (int32_t y = 0; y < p->size.out_height; y++) {
            const int32_t first = y * p->size.stride_h;
            if (first - s.origin > p->spare) {
                nn_move_back(p, &s, first);
            }
            for (; s.loaded < first + p->size.reach; s.loaded++) {
                p->load(p, input, &s);
            }
            nn_row(p, s.slots + (first - s.origin) * p->slot_words, output);
            output += p->size.out_width * p->size.out_depth;
        }
        input += p->size.height * p->size.width * p->size.depth;
    }
}
