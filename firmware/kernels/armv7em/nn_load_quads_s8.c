/* A row of pixels, four channels at a time. Columns between its borders are widened at once: no
 * word of theirs reaches beyond the image. A column takes about 10 instructions, one beside a
 * border 120, and both 16 for four channels. Rounding: none.
 */
#include <string.h>

#include "nn_math.h"
#include "nn_rows.h"

void nn_load_quads_s8(const nn_conv_rows_t *p, const int8_t *image, const nn_slots_t *slots)
{
    const int32_t y = slots->loaded - p->size.pad_h;
    const int32_t width = y >= 0 && y < p->size.height ? p->size.width : 0;
    const int8_t *const row = image + y * p->size.width * p->size.depth;
    const int32_t end = y == p->size.height - 1 && p->size.depth % 4 ? p->size.width - 1 : width;
    int8_t *const last = slots->beside + 4 * p->widen.words;
    uint32_t *to = slots->slots + (slots->loaded - slots->origin) * p->slot_words;
    for (int32_t column = 0, count = 1; column < p->columns.count; column += count) {
        const int8_t *in[NN_QUAD];
        int32_t x = column - p->size.pad_w;
        count = nn_min(end - (NN_QUAD - 1) * p->quarter - x, p->columns.count - column);
        count = x >= 0 && count > 1 ? count : 1;
        for (int32_t i = 0; i < NN_QUAD; i++, x += p->quarter) {
            in[i] = x >= 0 && x < width ? row + x * p->size.depth : slots->beside;
            if (x == end && x < width) { /* no word may reach beyond the image */
                memcpy(last, in[i], (size_t)p->size.depth);
                in[i] = last;
            }
        }
        nn_widen_quad_s8(to, in, count, &p->widen);
        to += count * p->size.reach * p->slot_words;
    }
}
