/* What nn_linear_terms_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_math.h"
#include "nn_trio.h"

void nn_linear_terms_s8(const nn_linear_terms_t *p, const int8_t *a, const int8_t *b,
                        int8_t *output)
{
    for (int32_t row = 0; row < p->rows.rows; row++) {
        for (int32_t i = 0; i < p->rows.count; i++) {
            const int32_t sum =
                nn_wrapping_add(p->a_terms[(uint8_t)*a++], p->b_terms[(uint8_t)*b++]);
            *output++ = (int8_t)nn_min(nn_max(sum >> NN_LINEAR_SHIFT, -128), 127);
        }
        a += p->rows.a_step;
        b += p->rows.b_step;
    }
}
