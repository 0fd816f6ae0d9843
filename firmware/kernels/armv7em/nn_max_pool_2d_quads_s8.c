/* out[n,y,x,c] = clamp(maximum of the part of the window that lies inside the input)
 *
 * Input and output share scale and zero point. Four channels at a time; the last four overlap the
 * ones before. Scratch: none. Rounding: none.
 */
#include "nn_dsp.h"
#include "nn_packed.h"
#include "nn_window.h"

static void nn_max_pixel(const nn_pool_t *p, const nn_inside_t *inside, int8_t *output)
{
    const int32_t depth = p->input.c;
    const uint32_t most = nn_four_bytes(p->act_max);
    for (int32_t c = 0; c < depth; c += NN_LANES) {
        const int32_t from = nn_min(c, depth - NN_LANES);
        const int8_t *row = inside->input + from;
        uint32_t largest = nn_four_bytes(p->act_min);
        for (int32_t y = 0; y < inside->pixels.rows; y++) {
            const int8_t *in = row;
            for (int32_t x = inside->pixels.run; x > 0; x--) {
                largest = nn_max_bytes(largest, nn_load_word(in));
                in += depth;
            }
            row += inside->pixels.row;
        }
        largest = nn_min_bytes(largest, most);
        memcpy(output + from, &largest, NN_LANES);
    }
}

void nn_max_pool_2d_quads_s8(const nn_pool_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t n = 0; n < p->output.n; n++) {
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                const nn_inside_t inside = nn_find_inside(p, input, y, x);
                nn_max_pixel(p, &inside, output);
                output += p->output.c;
            }
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
