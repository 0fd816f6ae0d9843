/* What nn_product_s16.S computes, for machines without its instructions. Rounding: double. */
#include "nn_sum.h"

void nn_product_s16(const nn_product_s16_t *p, const int16_t *a, const int16_t *b, int16_t *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int64_t doubled = INT64_C(2) * a[i] * b[i];
        const int64_t kept = doubled > INT32_MAX ? INT32_MAX : doubled;
        output[i] =
            nn_clamp_s16(nn_sum_rescaled(kept, p->output), p->relu ? 0 : INT16_MIN, INT16_MAX);
    }
}
