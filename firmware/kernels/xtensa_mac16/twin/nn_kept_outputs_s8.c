/* What nn_kept_outputs_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_mac.h"

void nn_kept_outputs_s8(const nn_mac_kept_t *numbers, const int32_t *sums, int8_t *output,
                        int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        output[i] = nn_mac_output(&numbers->mac, sums[i]);
    }
}
