/* out[i] = function(in[i]) in single precision
 *
 * |x|, -x, sqrt(x), 1 / sqrt(x), x * x, max(x, 0), min(max(x, 0), 6), x > 0 ? x : alpha * x.
 * Scratch: none. Rounding: each operation to nearest, ties to even.
 */
#include "nn_float.h"
#include "nn_kernels.h"

static float nn_unary_element(const nn_unary_f32_t *p, float x)
{
    switch (p->function) {
    case NN_F_ABS:
        return nn_from_bits(nn_bits(x) & ~NN_FLOAT_SIGN);
    case NN_F_NEG:
        return nn_from_bits(nn_bits(x) ^ NN_FLOAT_SIGN);
    case NN_F_SQRT:
        return nn_sqrt_f32(x);
    case NN_F_RSQRT:
        return nn_div_f32(1.0F, nn_sqrt_f32(x));
    case NN_F_SQUARE:
        return nn_mul_f32(x, x);
    case NN_F_RELU:
        return x < 0.0F ? 0.0F : x;
    case NN_F_RELU6:
        return x > 6.0F ? 6.0F : x < 0.0F ? 0.0F : x;
    case NN_F_LEAKY_RELU:
        return x > 0.0F ? x : nn_mul_f32(x, p->alpha);
    }
    return x;
}

void nn_unary_f32(const nn_unary_f32_t *p, const float *input, float *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = nn_unary_element(p, input[i]);
    }
}
