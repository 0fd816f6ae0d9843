/* out[n,y,x,c] = round(sum over the four neighbours of in * weight_y * weight_x / 2^20)
 *
 * Row y lies at (y * step_h + origin_h) / 2^10 of the input: the integer part and the next row are
 * its neighbours, clamped to the input, the fraction is the weight of the second one; columns
 * alike. MACs: 4*out elements. Scratch: none. Rounding: half away from zero, once.
 */
#include "nn_kernels.h"
#include "nn_math.h"

#define NN_ONE 1024

typedef struct {
    int32_t low, high; /* input positions */
    int32_t weight;    /* of `high`; NN_ONE - weight is that of `low` */
} nn_neighbours_t;

static nn_neighbours_t nn_find_neighbours(int32_t position, int32_t size)
{
    if (position <= 0) { /* both are the first one, so the weights do not matter */
        return (nn_neighbours_t){0, 0, 0};
    }
    const int32_t low = position / NN_ONE;
    const int32_t high = nn_min((position + NN_ONE - 1) / NN_ONE, size - 1);
    return (nn_neighbours_t){low, high, position - low * NN_ONE};
}

static void nn_mix_pixels(const nn_resize_t *p, const int8_t *top, const int8_t *bottom,
                          int32_t down, int32_t x, int8_t *output)
{
    const int32_t depth = p->input.c;
    const nn_neighbours_t xs = nn_find_neighbours(x * p->step_w + p->origin_w, p->input.w);
    for (int32_t c = 0; c < depth; c++) {
        const int32_t left = xs.low * depth + c;
        const int32_t right = xs.high * depth + c;
        const int32_t a = top[left] * (NN_ONE - down) + bottom[left] * down;
        const int32_t b = top[right] * (NN_ONE - down) + bottom[right] * down;
        const int32_t sum = a * (NN_ONE - xs.weight) + b * xs.weight;
        const int32_t half = sum > 0 ? NN_ONE * NN_ONE / 2 : -NN_ONE * NN_ONE / 2;
        *output++ = (int8_t)((sum + half) / (NN_ONE * NN_ONE));
    }
}

void nn_resize_bilinear_s8(const nn_resize_t *p, const int8_t *input, int8_t *output)
{
    const int32_t row = p->input.w * p->input.c;
    for (int32_t n = 0; n < p->output.n; n++) {
        for (int32_t y = 0; y < p->output.h; y++) {
            const nn_neighbours_t ys = nn_find_neighbours(y * p->step_h + p->origin_h, p->input.h);
            for (int32_t x = 0; x < p->output.w; x++) {
                nn_mix_pixels(p, input + ys.low * row, input + ys.high * row, ys.weight, x, output);
                output += p->output.c;
            }
        }
        input += p->input.h * row;
    }
}
