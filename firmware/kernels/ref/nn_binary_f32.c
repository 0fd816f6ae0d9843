/* out = min(max(function(a, b), act_min), act_max) in single precision
 *
 * a + b, a - b, a * b, a / b, (a - b)^2, max(a, b), min(a, b), a >= 0 ? a : a * b. What is NaN
 * stays NaN, but a maximum or minimum with a NaN is b. Inputs repeat along axes whose stride is 0.
 * Scratch: none. Rounding: each operation to nearest, ties to even.
 */
#include "nn_float.h"
#include "nn_kernels.h"
#include "nn_walk.h"

static float nn_binary_element(nn_binary_function_t function, float a, float b)
{
    switch (function) {
    case NN_F_ADD:
        return nn_add_f32(a, b);
    case NN_F_SUB:
        return nn_sub_f32(a, b);
    case NN_F_MUL:
        return nn_mul_f32(a, b);
    case NN_F_DIV:
        return nn_div_f32(a, b);
    case NN_F_SQUARED_DIFFERENCE: {
        const float difference = nn_sub_f32(a, b);
        return nn_mul_f32(difference, difference);
    }
    case NN_F_MAXIMUM:
        return a > b ? a : b;
    case NN_F_MINIMUM:
        return a < b ? a : b;
    case NN_F_PRELU:
        return a >= 0.0F ? a : nn_mul_f32(a, b);
    }
    return a;
}

void nn_binary_f32(const nn_binary_f32_t *p, const float *a, const float *b, float *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            const float value = nn_binary_element(p->function, a[i], b[j]);
            const float above = value < p->act_min ? p->act_min : value;
            *output++ = p->act_max < above ? p->act_max : above;
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
