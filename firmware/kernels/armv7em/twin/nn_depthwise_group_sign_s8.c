/* What nn_depthwise_group_sign_s8.S computes, for machines without its instructions. Rounding:
 * double. */
#include "nn_depthwise_group.h"

void nn_depthwise_group_sign_s8(const nn_depthwise_packed_t *p, const nn_depthwise_group_t *group)
{
    nn_group(p, group, true);
}
