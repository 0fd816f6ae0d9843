/* out = function(a, b) of int32, int64 or truth values
 *
 * a + b, a - b, a * b, (a - b)^2 of int32 wrap; with a / b, of which no b is 0 or -1, they are
 * clamped to act_min .. act_max; max(a, b), min(a, b); a && b, a || b of bytes that are 0 or 1.
 * Inputs repeat along axes whose stride is 0. Scratch: none. Rounding: none.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_walk.h"

static int32_t nn_binary_s32(const nn_binary_int_t *p, int32_t a, int32_t b)
{
    int32_t value = b;
    switch (p->function) {
    case NN_I_ADD:
        value = nn_wrapping_add(a, b);
        break;
    case NN_I_SUB:
        value = (int32_t)((uint32_t)a - (uint32_t)b);
        break;
    case NN_I_MUL:
        value = (int32_t)((uint32_t)a * (uint32_t)b);
        break;
    case NN_I_DIV:
        value = a / b;
        break;
    case NN_I_SQUARED_DIFFERENCE: {
        const uint32_t difference = (uint32_t)a - (uint32_t)b;
        value = (int32_t)(difference * difference);
        break;
    }
    case NN_I_MAXIMUM:
        value = nn_max(a, b);
        break;
    case NN_I_MINIMUM:
        value = nn_min(a, b);
        break;
    case NN_I_LOGICAL_AND:
        value = a & b;
        break;
    case NN_I_LOGICAL_OR:
        value = a | b;
        break;
    }
    return nn_min(nn_max(value, p->act_min), p->act_max);
}

static void nn_binary_element(const nn_binary_int_t *p, const void *a, int32_t i, const void *b,
                              int32_t j, void *output, int32_t at)
{
    if (p->type == NN_S32) {
        ((int32_t *)output)[at] =
            nn_binary_s32(p, ((const int32_t *)a)[i], ((const int32_t *)b)[j]);
    } else if (p->type == NN_S64) {
        const int64_t x = ((const int64_t *)a)[i];
        const int64_t y = ((const int64_t *)b)[j];
        ((int64_t *)output)[at] = (x > y) == (p->function == NN_I_MAXIMUM) ? x : y;
    } else {
        ((uint8_t *)output)[at] =
            (uint8_t)nn_binary_s32(p, ((const uint8_t *)a)[i], ((const uint8_t *)b)[j]);
    }
}

void nn_binary_int(const nn_binary_int_t *p, const void *a, const void *b, void *output)
{
    const nn_broadcast_t *walk = &p->walk;
    const int32_t inner = NN_BROADCAST_AXES - 1;
    nn_pair_t pair = {0};
    int32_t at = 0;
    do {
        int32_t i = pair.a;
        int32_t j = pair.b;
        for (int32_t k = 0; k < walk->count[inner]; k++) {
            nn_binary_element(p, a, i, b, j, output, at++);
            i += walk->stride_a[inner];
            j += walk->stride_b[inner];
        }
    } while (nn_next_pair(walk, &pair));
}
