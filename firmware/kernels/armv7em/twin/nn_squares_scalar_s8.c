/* What nn_squares_scalar_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_elementwise.h"
#include "nn_sign.h"

static int32_t nn_rescaled(const nn_operand_t *p, int32_t offset, int8_t x)
{
    const int32_t wide = (x + offset) * p->factor;
    const int64_t product = (int64_t)wide * p->multiplier + (INT64_C(1) << 31);
    return ((int32_t)(product >> 32) + (wide < 0 ? -1 : 0) + p->half) >> p->shift;
}

void nn_squares_scalar_s8(const nn_squares_t *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t row = 0; row < p->rows.rows; row++) {
        const int32_t middle = nn_rescaled(&p->b, p->b.offset, *b);
        for (int32_t i = 0; i < p->rows.count; i++) {
            const int32_t d = middle - nn_rescaled(&p->a, (int16_t)(p->a.offset & 0xFFFF), *a++);
            *output++ = nn_sign_output(d * d, p->multiplier, p->constant, p->shift);
        }
        a += p->rows.a_step;
        b += p->rows.b_step;
    }
}
