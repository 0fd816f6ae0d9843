/* out[n,y,x,c] = clamp(round(mean of the part of the window that lies inside the input))
 *
 * Input and output share scale and zero point. Four channels at a time; the last four overlap the
 * ones before. Scratch: none. Rounding: divide, half away from 0.
 */
#include "nn_dsp.h"
#include "nn_packed.h"
#include "nn_window.h"

static uint32_t nn_mean_byte(int32_t sum, int32_t count)
{
    const int32_t half = count / 2;
    return (uint32_t)((sum > 0 ? sum + half : sum - half) / count) & 0xFFU;
}

static void nn_average_pixel(const nn_pool_t *p, const nn_inside_t *inside, int8_t *output)
{
    const int32_t depth = p->input.c;
    const int32_t count = inside->pixels.rows * inside->pixels.run;
    const uint32_t least = nn_four_bytes(p->act_min);
    const uint32_t most = nn_four_bytes(p->act_max);
    for (int32_t c = 0; c < depth; c += NN_LANES) {
        const int32_t from = nn_min(c, depth - NN_LANES);
        int32_t sums[NN_LANES] = {0};
        nn_sum_quad_s8(&inside->pixels, inside->input + from, sums);
        uint32_t means = nn_mean_byte(sums[0], count);
        means |= nn_mean_byte(sums[1], count) << 8;
        means |= nn_mean_byte(sums[2], count) << 16;
        means |= nn_mean_byte(sums[3], count) << 24;
        means = nn_min_bytes(nn_max_bytes(means, least), most);
        memcpy(output + from, &means, NN_LANES);
    }
}

void nn_average_pool_2d_quads_s8(const nn_pool_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t n = 0; n < p->output.n; n++) {
        for (int32_t y = 0; y < p->output.h; y++) {
            for (int32_t x = 0; x < p->output.w; x++) {
                const nn_inside_t inside = nn_find_inside(p, input, y, x);
                nn_average_pixel(p, &inside, output);
                output += p->output.c;
            }
        }
        input += p->input.h * p->input.w * p->input.c;
    }
}
