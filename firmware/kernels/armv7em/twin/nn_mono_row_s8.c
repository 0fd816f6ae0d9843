/* What nn_mono_row_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_depthwise.h"

/* Rows and columns of the weights' halfwords; the last one has none. */
static const int8_t nn_mono_row[10] = {2, 2, 0, 1, 0, 1, 0, 1, 2, 0};
static const int8_t nn_mono_column[10] = {0, 2, 0, 0, 2, 2, 1, 1, 1, 0};

static int8_t nn_mono_output(const nn_mono_row_t *p, int32_t column, const int32_t *channel)
{
    uint32_t sum = (uint32_t)channel[5];
    for (int32_t i = 0; i < 9; i++) {
        const int32_t weight = (int16_t)((uint32_t)channel[i / 2] >> i % 2 * 16);
        sum += (uint32_t)(256 * weight * p->rows[nn_mono_row[i]][column + nn_mono_column[i]]);
    }
    const int64_t product = (int64_t)(int32_t)sum * channel[6];
    const int32_t value = ((int32_t)(product >> 32) + channel[7]) >> NN_CODE_BITS;
    return (int8_t)nn_min(nn_max(value, -128), 127);
}

void nn_mono_row_s8(const nn_mono_row_t *p, int8_t *output)
{
    for (int32_t x = 0; x < p->pixels; x++) {
        for (int32_t c = 0; c < p->channels; c++) {
            *output++ = nn_mono_output(p, p->column + x * p->stride, p->stream + NN_MONO_WORDS * c);
        }
    }
}
