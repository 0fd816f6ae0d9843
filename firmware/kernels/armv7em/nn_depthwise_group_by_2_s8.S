/* void nn_depthwise_group_by_2_s8(const nn_depthwise_packed_t *p,
 *                                 const nn_depthwise_group_t *group)
 *
 * Depthwise 3 x 3 with stride 2. Stack: 212 bytes. Rounding: double, in a proven short form.
 */
#define FUNCTION nn_depthwise_group_by_2_s8
#define STRIDE 2
#include "nn_depthwise_group.inc"
