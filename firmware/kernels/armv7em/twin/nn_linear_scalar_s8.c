/* What nn_linear_scalar_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_elementwise.h"
#include "nn_math.h"

static int32_t nn_term(int32_t factor, int32_t value)
{
    return (int32_t)((int64_t)factor * value >> 8);
}

void nn_linear_scalar_s8(const nn_linear_t *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t row = 0; row < p->rows.rows; row++) {
        const uint32_t start = (uint32_t)nn_term(p->b_factor, *b) + (uint32_t)p->constant;
        for (int32_t i = 0; i < p->rows.count; i++) {
            const uint32_t sum = (uint32_t)nn_term(p->a_factor, *a++) + start;
            *output++ = (int8_t)nn_min(nn_max((int32_t)sum >> NN_LINEAR_SHIFT, -128), 127);
        }
        a += p->rows.a_step;
        b += p->rows.b_step;
    }
}
