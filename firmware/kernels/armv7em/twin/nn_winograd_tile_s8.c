/* What nn_winograd_tile_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_rows.h"

static uint32_t nn_halves(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFU) | (uint32_t)high << 16;
}

/* The phases of two channels, the second two bytes behind the first. */
static void nn_phases(uint32_t *x, const int8_t *const *pixels, int32_t at)
{
    int32_t d[2][4];
    for (int32_t i = 0; i < 4; i++) {
        d[0][i] = pixels[i][at];
        d[1][i] = pixels[i][at + 2];
    }
    x[0] = nn_halves(d[0][1] + d[0][2], d[1][1] + d[1][2]);
    x[NN_QUAD] = nn_halves(d[0][2] - d[0][1], d[1][2] - d[1][1]);
    x[2 * NN_QUAD] = nn_halves(d[0][0] - d[0][2], d[1][0] - d[1][2]);
    x[3 * NN_QUAD] = nn_halves(d[0][3] - d[0][1], d[1][3] - d[1][1]);
}

void nn_winograd_tile_s8(uint32_t *x, const int8_t *const *pixels, int32_t words)
{
    for (int32_t word = 0; word < words; word++) {
        nn_phases(x, pixels, 4 * word);
        nn_phases(x + NN_WINOGRAD_WORDS, pixels, 4 * word + 1);
        x += 2 * NN_WINOGRAD_WORDS;
    }
}
