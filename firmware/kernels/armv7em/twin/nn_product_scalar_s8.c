/* What nn_product_scalar_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_elementwise.h"
#include "nn_sign.h"

static int32_t nn_low_half(int32_t word)
{
    return (int16_t)(word & 0xFFFF);
}

void nn_product_scalar_s8(const nn_product_t *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t row = 0; row < p->rows.rows; row++) {
        const int32_t factor = *b + nn_low_half(p->b_offsets);
        for (int32_t i = 0; i < p->rows.count; i++) {
            const int32_t product = (*a++ + nn_low_half(p->a_offsets)) * factor;
            *output++ = nn_sign_output(product, p->multiplier, p->constant, p->shift);
        }
        a += p->rows.a_step;
        b += p->rows.b_step;
    }
}
