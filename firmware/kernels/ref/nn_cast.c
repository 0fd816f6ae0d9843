/* out[i] = in[i] as another type; flip: of truth values, 1 - in[i]
 *
 * Integers keep their low bits. Of floats the fraction is cut off; what the integer does not hold
 * is its nearest, and a NaN 0, as in the TFLite Micro that answers our cases; C leaves it open.
 * Scratch: none. Rounding: none; integers to floats: nearest, ties to even.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_cast_real(nn_type_t type, float x)
{
    if (x >= 0x1p31F) {
        return type == NN_S8 ? INT8_MAX : type == NN_S16 ? INT16_MAX : INT32_MAX;
    }
    if (x < -0x1p31F) {
        return type == NN_S8 ? INT8_MIN : type == NN_S16 ? INT16_MIN : INT32_MIN;
    }
    const int32_t whole = x == x ? (int32_t)x : 0; /* a NaN equals nothing */
    if (type == NN_S8) {
        return nn_min(nn_max(whole, INT8_MIN), INT8_MAX);
    }
    return type == NN_S16 ? nn_min(nn_max(whole, INT16_MIN), INT16_MAX) : whole;
}

static int32_t nn_cast_integer(const nn_cast_t *p, const void *input, int32_t i)
{
    switch (p->input_type) {
    case NN_S16:
        return ((const nn_alias_s16_t *)input)[i];
    case NN_S32:
        return ((const nn_alias_s32_t *)input)[i];
    case NN_F32:
        return nn_cast_real(p->output_type, ((const nn_alias_f32_t *)input)[i]);
    case NN_U8:
        return ((const uint8_t *)input)[i] ^ p->flip;
    case NN_S8:
    case NN_S64:
        break;
    }
    return ((const int8_t *)input)[i];
}

static float nn_cast_float(const nn_cast_t *p, const void *input, int32_t i)
{
    return p->input_type == NN_F32 ? ((const nn_alias_f32_t *)input)[i]
                                   : (float)nn_cast_integer(p, input, i);
}

void nn_cast(const nn_cast_t *p, const void *input, void *output)
{
    for (int32_t i = 0; i < p->count; i++) {
        if (p->output_type == NN_F32) {
            ((nn_alias_f32_t *)output)[i] = nn_cast_float(p, input, i);
            continue;
        }
        const int32_t value = nn_cast_integer(p, input, i);
        if (p->output_type == NN_S32) {
            ((nn_alias_s32_t *)output)[i] = value;
        } else if (p->output_type == NN_S16) {
            ((nn_alias_s16_t *)output)[i] = (int16_t)value;
        } else {
            ((int8_t *)output)[i] = (int8_t)value;
        }
    }
}
