#include "mlperf_values.h"

#include <string.h>

#define THOUSAND 1000u

#if defined(MLPERF_AD01)
#define LARGEST 1000.0f /* of a float that `db` brings: its square stays in range */
#define FARTHEST 256.0f /* steps: beyond int8 from any zero point, and within int32 */
#define HIDDEN (UINT32_C(1) << 23)

void mlperf_keep(mlperf_t *mlperf, uint32_t index, uint8_t byte)
{
    mlperf->sent.bytes[index] = byte;
}

uint8_t mlperf_sent(const mlperf_t *mlperf, uint32_t index)
{
    return mlperf->sent.bytes[index];
}

/* To the nearest, a half away from zero, as C's round. */
static int32_t round_half_away(float value)
{
    const int32_t whole = (int32_t)value;
    const float rest = value - (float)whole;
    if (rest >= 0.5f) {
        return whole + 1;
    }
    return rest <= -0.5f ? whole - 1 : whole;
}

bool mlperf_prepare(mlperf_t *mlperf)
{
    for (uint32_t i = 0; i < MLPERF_INPUT_BYTES; i++) {
        const float value = mlperf->sent.values[i];
        if (!(value >= -LARGEST && value <= LARGEST)) { /* a NaN neither */
            return false;
        }
        float ratio = value / MLPERF_INPUT_SCALE;
        ratio = ratio > FARTHEST ? FARTHEST : ratio < -FARTHEST ? -FARTHEST : ratio;
        int32_t steps = round_half_away(ratio) + MLPERF_INPUT_ZERO;
        steps = steps < INT8_MIN ? INT8_MIN : steps;
        steps = steps > INT8_MAX ? INT8_MAX : steps;
        mlperf->input[i] = (uint8_t)steps;
    }
    return true;
}

/* Thousandths of a float of 0 to 2^22, as host_tools/mlperf asks for such scales; to the nearest,
 * a half to even, as printf("%.3f"). */
static uint32_t thousandths(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    const uint32_t shift = 150u - (bits >> 23); /* value = mantissa / 2^shift */
    if (shift > 63u) {
        return 0;
    }
    const uint64_t product = (uint64_t)((bits & (HIDDEN - 1u)) | HIDDEN) * THOUSAND;
    const uint64_t half = UINT64_C(1) << (shift - 1u);
    const uint64_t whole = product >> shift;
    const uint64_t rest = product & (2u * half - 1u);
    return (uint32_t)(whole + (rest > half || (rest == half && (whole & 1u) != 0) ? 1u : 0u));
}

/* The mean squared error, added up in floats and in order, as the public firmware does. */
void mlperf_judge(mlperf_t *mlperf, const int8_t *output)
{
    float sum = 0;
    for (uint32_t i = 0; i < MLPERF_OUTPUT_BYTES; i++) {
        const float answer = (float)(output[i] - MLPERF_OUTPUT_ZERO) * MLPERF_OUTPUT_SCALE;
        const float difference = answer - mlperf->sent.values[i];
        sum += difference * difference;
    }
    mlperf->results[0] = thousandths(sum / (float)MLPERF_OUTPUT_BYTES);
}

#else
#if defined(MLPERF_KWS01)
#define SIGN 0x00 /* the files have the model's own bytes */
#else
#define SIGN 0x80 /* pixels of 0 to 255 */
#endif
#define STEPS 256u /* of a probability */

_Static_assert(MLPERF_OUTPUT_STEPS == STEPS && MLPERF_OUTPUT_ZERO == -128,
               "the model's output is not of probabilities in 256 steps");

void mlperf_keep(mlperf_t *mlperf, uint32_t index, uint8_t byte)
{
    mlperf->input[index] = byte ^ SIGN;
}

uint8_t mlperf_sent(const mlperf_t *mlperf, uint32_t index)
{
    return mlperf->input[index] ^ SIGN;
}

bool mlperf_prepare(mlperf_t *mlperf)
{
    (void)mlperf;
    return true;
}

/* As the public firmware prints it: keywords are cut off, the others rounded, a half to even. */
void mlperf_judge(mlperf_t *mlperf, const int8_t *output)
{
    for (uint32_t i = 0; i < MLPERF_OUTPUT_BYTES; i++) {
        const uint32_t product = (uint32_t)(output[i] + 128) * THOUSAND;
        uint32_t value = product / STEPS;
#if !defined(MLPERF_KWS01)
        const uint32_t rest = product % STEPS;
        value += rest > STEPS / 2u || (rest == STEPS / 2u && value % 2u != 0) ? 1u : 0u;
#endif
        mlperf->results[i] = value;
    }
}
#endif
