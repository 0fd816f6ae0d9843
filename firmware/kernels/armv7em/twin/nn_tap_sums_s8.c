/* What nn_tap_sums_s8.S computes, for machines without its instructions. Rounding: none. */
#include "nn_math.h"
#include "nn_packed.h"

void nn_tap_sums_s8(const nn_taps_t *taps, const int8_t *in, const int8_t *w, uint32_t offset,
                    int32_t *sums)
{
    for (int32_t row = 0; row < taps->rows; row++) {
        for (int32_t run = 0; run < taps->runs; run++) {
            const int8_t *const values = in + row * taps->input_row + run * taps->input_run;
            const int8_t *const weights = w + row * taps->weight_row + run * taps->weight_run;
            for (int32_t i = 0; i < 4; i++) {
                const int32_t value = (int16_t)(offset & 0xFFFFU) + values[i];
                sums[i] = nn_wrapping_add(sums[i], value * weights[i]);
            }
        }
    }
}
