/* Strided walks. The generator has merged axes, so that dense tensors are one long inner axis; a
 * kernel runs the innermost axis itself and asks here for the start of the next run.
 */
#ifndef NN_WALK_H
#define NN_WALK_H

#include <stdbool.h>

#include "nn_types.h"

/* Where a run over two operands starts. Begin with {0}. */
typedef struct {
    int32_t a, b; /* element offsets */
    int32_t at[NN_BROADCAST_AXES - 1];
} nn_pair_t;

/* Step to the next run of the innermost axis; false after the last one. */
static inline bool nn_next_pair(const nn_broadcast_t *walk, nn_pair_t *pair)
{
    for (int32_t axis = NN_BROADCAST_AXES - 2; axis >= 0; axis--) {
        pair->a += walk->stride_a[axis];
        pair->b += walk->stride_b[axis];
        if (++pair->at[axis] < walk->count[axis]) {
            return true;
        }
        pair->a -= walk->count[axis] * walk->stride_a[axis];
        pair->b -= walk->count[axis] * walk->stride_b[axis];
        pair->at[axis] = 0;
    }
    return false;
}

/* Where a run over one tensor starts. Begin with {0}. */
typedef struct {
    int32_t offset;
    int32_t at[NN_REDUCE_AXES];
} nn_run_t;

/* Step through the outer `axes` of a walk; false after the last element of them. */
static inline bool nn_next_run(const nn_axis_t *walk, int32_t axes, nn_run_t *run)
{
    for (int32_t axis = axes - 1; axis >= 0; axis--) {
        run->offset += walk[axis].stride;
        if (++run->at[axis] < walk[axis].count) {
            return true;
        }
        run->offset -= walk[axis].count * walk[axis].stride;
        run->at[axis] = 0;
    }
    return false;
}

#endif
