/* A row of tiles of four pixels, each two pixels behind the one before: about 70 instructions, and
 * 31 for four channels. Rounding: none.
 */
#include "nn_rows.h"

void nn_load_tiles_s8(const nn_conv_rows_t *p, const int8_t *image, const nn_slots_t *slots)
{
    const int32_t y = slots->loaded - p->size.pad_h;
    const int32_t width = y >= 0 && y < p->size.height ? p->size.width : 0;
    const int8_t *const row = image + y * p->size.width * p->size.depth;
    uint32_t *const to = slots->slots + (slots->loaded - slots->origin) * p->slot_words;
    int32_t x = -p->size.pad_w;
    for (int32_t tile = 0; tile < NN_QUAD; tile++) {
        for (int32_t group = 0; group < p->groups; group++, x += 2) {
            const int8_t *in[4];
            for (int32_t i = 0; i < 4; i++) {
                in[i] = x + i >= 0 && x + i < width ? row + (x + i) * p->size.depth : slots->beside;
            }
            nn_winograd_tile_s8(to + tile + group * p->group_words, in, p->size.depth / 4);
        }
    }
}
