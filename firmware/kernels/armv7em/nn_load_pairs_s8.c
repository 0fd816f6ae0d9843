/* A row of pairs of bytes, first copied between its borders: a column takes 17 instructions, four
 * bytes of the copy 4. Rounding: none.
 */
#include <string.h>

#include "nn_dsp.h"
#include "nn_math.h"
#include "nn_rows.h"

void nn_load_pairs_s8(const nn_conv_rows_t *p, const int8_t *image, const nn_slots_t *slots)
{
    const int32_t y = slots->loaded - p->size.pad_h;
    const int32_t left = p->size.pad_w * p->size.depth;
    const int32_t bytes = nn_min(p->size.width * p->size.depth, p->beside_bytes - left);
    const int8_t *const from = image + y * p->size.width * p->size.depth;
    int8_t *const row = slots->beside + left;
    const int32_t outside = y < 0 || y >= p->size.height;
    const uint32_t pad = nn_four_bytes(p->size.pad_value);
    int32_t i = 0;
    for (; i + 4 <= bytes && outside; i += 4) {
        memcpy(row + i, &pad, 4);
    }
    for (; i + 4 <= bytes; i += 4) {
        memcpy(row + i, from + i, 4);
    }
    for (; i < bytes; i++) {
        row[i] = outside ? (int8_t)p->size.pad_value : from[i];
    }
    nn_pair_columns_s8(slots->slots + (slots->loaded - slots->origin) * p->slot_words,
                       slots->beside, p->quarter, &p->columns);
}
