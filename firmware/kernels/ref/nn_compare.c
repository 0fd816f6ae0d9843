/* out = 1 where the order of a and b is one of the accepted, else 0
 *
 * int8 values are compared as requant((value - zero point) * 2^8), other types as they are. Inputs
 * repeat along axes whose stride is 0. Scratch: none. Rounding: double, of int8.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

enum { NN_LESS = 1, NN_SAME = 2, NN_MORE = 4, NN_APART = 8 };

static int32_t nn_order_s64(int64_t a, int64_t b)
{
    if (a == b) {
        return NN_SAME;
    }
    return a < b ? NN_LESS : NN_MORE;
}

static int32_t nn_order_f32(float a, float b)
{
    if (a < b) {
        return NN_LESS;
    }
    if (a > b) {
        return NN_MORE;
    }
    return a >= b ? NN_SAME : NN_APART;
}

static int32_t nn_order(const nn_compare_t *p, const void *a, int32_t i, const void *b, int32_t j)
{
    switch (p->type) {
    case NN_F32:
        return nn_order_f32(((const float *)a)[i], ((const float *)b)[j]);
    case NN_S32:
        return nn_order_s64(((const int32_t *)a)[i], ((const int32_t *)b)[j]);
    case NN_S64:
        return nn_order_s64(((const int64_t *)a)[i], ((const int64_t *)b)[j]);
    case NN_U8:
        return nn_order_s64(((const uint8_t *)a)[i], ((const uint8_t *)b)[j]);
    case NN_S8:
    case NN_S16:
        break;
    }
    const int32_t x = (((const int8_t *)a)[i] + p->a_offset) * (1 << NN_COMPARE_SHIFT);
    const int32_t y = (((const int8_t *)b)[j] + p->b_offset) * (1 << NN_COMPARE_SHIFT);
    return nn_order_s64(nn_requantize(x, p->a_requant), nn_requantize(y, p->b_requant));
}

void nn_compare(const nn_compare_t *p, const void *a, const void *b, uint8_t *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            *output++ = (nn_order(p, a, i, b, j) & p->accepted) != 0 ? 1 : 0;
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
