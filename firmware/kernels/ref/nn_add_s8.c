/* out = clamp(zp + requant_out(requant_a((a - zp_a) << s) + requant_b((b - zp_b) << s)))
 *
 * Inputs repeat along axes whose stride is 0. Scratch: none. Rounding: double, three times.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int8_t nn_add_element(const nn_add_t *p, int8_t a, int8_t b)
{
    const int32_t wide_a = nn_shift_left(a + p->a_offset, p->left_shift);
    const int32_t wide_b = nn_shift_left(b + p->b_offset, p->left_shift);
    const int32_t sum = nn_requantize(wide_a, p->a_requant) + nn_requantize(wide_b, p->b_requant);
    return nn_output_s8(sum, p->output_requant, p->output_offset, p->act_min, p->act_max);
}

void nn_add_s8(const nn_add_t *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    const nn_broadcast_t *walk = &p->walk;
    int32_t at[NN_BROADCAST_AXES] = {0};
    for (;;) {
        const int8_t *pa = a;
        const int8_t *pb = b;
        for (int32_t i = 0; i < NN_BROADCAST_AXES; i++) {
            pa += at[i] * walk->stride_a[i];
            pb += at[i] * walk->stride_b[i];
        }
        *output++ = nn_add_element(p, *pa, *pb);
        int32_t axis = NN_BROADCAST_AXES - 1;
        while (axis >= 0 && ++at[axis] == walk->count[axis]) {
            at[axis--] = 0;
        }
        if (axis < 0) {
            return;
        }
    }
}
