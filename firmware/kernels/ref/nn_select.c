/* out = condition ? a : b, element by element, of any type
 *
 * Inputs repeat along axes whose stride is 0. The output may lie on a or b, where that is not
 * repeated. Scratch: none. Rounding: none.
 */
#include <string.h>

#include "nn_kernels.h"

void nn_select(const nn_select_t *p, const uint8_t *condition, const void *a, const void *b,
               void *output)
{
    const uint8_t *from_a = a;
    const uint8_t *from_b = b;
    uint8_t *out = output;
    int32_t at[NN_SELECT_AXES] = {0};
    int32_t axis;
    do {
        memmove(out, *condition != 0 ? from_a : from_b, (size_t)p->element_bytes);
        out += p->element_bytes;
        axis = NN_SELECT_AXES - 1;
        while (axis >= 0) {
            condition += p->stride_condition[axis];
            from_a += p->stride_a[axis];
            from_b += p->stride_b[axis];
            if (++at[axis] < p->count[axis]) {
                break;
            }
            condition -= p->count[axis] * p->stride_condition[axis];
            from_a -= p->count[axis] * p->stride_a[axis];
            from_b -= p->count[axis] * p->stride_b[axis];
            at[axis--] = 0;
        }
    } while (axis >= 0);
}
