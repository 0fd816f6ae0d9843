/* What nn_depthwise_group_by_2_s16.S computes, for machines without its instructions. Rounding:
 * wide.
 */
#include "nn_wide_group.h"

void nn_depthwise_group_by_2_s16(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group)
{
    nn_wide_group(p, group, p->ring / NN_RING_PAIR_WORDS * 2, 2);
}
