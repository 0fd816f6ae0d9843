/* out[i] = clamp(zp_out + requant(in[i] - zp_in)), between integer types at the ends of a model
 *
 * Scratch: none. Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_load(nn_type_t type, const void *data, int32_t i)
{
    if (type == NN_S32) {
        return ((const nn_alias_s32_t *)data)[i];
    }
    if (type == NN_S16) {
        return ((const nn_alias_s16_t *)data)[i];
    }
    return type == NN_S8 ? ((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
}

static void nn_store(nn_type_t type, void *data, int32_t i, int32_t value)
{
    if (type == NN_S32) {
        ((nn_alias_s32_t *)data)[i] = value;
    } else if (type == NN_S16) {
        ((nn_alias_s16_t *)data)[i] = (int16_t)nn_min(nn_max(value, INT16_MIN), INT16_MAX);
    } else if (type == NN_S8) {
        ((int8_t *)data)[i] = (int8_t)nn_min(nn_max(value, INT8_MIN), INT8_MAX);
    } else {
        ((uint8_t *)data)[i] = (uint8_t)nn_min(nn_max(value, 0), UINT8_MAX);
    }
}

void nn_rescale(const nn_rescale_t *p, const void *input, void *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t x = nn_load(p->input_type, input, i) + p->input_offset; /* NN_S32: + 0 */
        nn_store(p->output_type, output, i,
                 nn_wrapping_add(nn_requantize(x, p->requant), p->output_offset));
    }
}
