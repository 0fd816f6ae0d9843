/* out[n,y,x,c] = clamp(round(mean of the part of the window that lies inside the input))
 *
 * Input and output share scale and zero point. Four channels at a time; the last four overlap the
 * ones before. Scratch: none. Rounding: divide, half away from 0.
 */
#include "nn_packed.h"
#include "nn_window.h"

static void nn_average_pixel(const nn_pool_t *p, const nn_inside_t *inside, int8_t *output)
{
    const int32_t depth = p->input.c;
    const int32_t count = inside->pixels.rows * inside->pixels.run;
    const int32_t least = p->act_min;
    const int32_t most = p->act_max;
    for (int32_t c = 0; c < depth; c += NN_LANES) {
        const int32_t from = nn_min(c, depth - NN_LANES);
        int32_t sums[NN_LANES];
        sums[0] = sums[1] = sums[2] = sums[3] = 0; /* {0} would call memset */
        nn_sum_quad_s8(&inside->pixels, inside->input + from, sums);
        int8_t *to = output + from;
        for (const int32_t *sum = sums; sum != sums + NN_LANES; sum++) {
            const int32_t half = *sum > 0 ? count >> 1 : -(count >> 1);
            *to++ = (int8_t)nn_min(nn_max((*sum + half) / count, least), most);
        }
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
