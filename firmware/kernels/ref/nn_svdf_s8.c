/* state[b,f] moves one place to the left, and its last place becomes
 *     zp_s + clamp(requant_s(sum over i of (in[b,i] - zp_in) * wf[f,i]))
 * where an int8 sum with a zero point other than 0 may wrap around: TFLite Micro clamps before it.
 * out[b,u] = clamp(zp + requant(bias[u] + sum over the unit's filters f, m of
 *            (state[b,f,m] - zp_s) * wt[f,m]))
 *
 * State and time weights are both int8 or both int16. The state stays in the arena between runs.
 * MACs: batches*filters*(input_depth + memory), filters = units*rank. Scratch: none.
 * Rounding: double.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_get(const void *data, int32_t i, int32_t bytes)
{
    return bytes == 1 ? ((const int8_t *)data)[i] : ((const int16_t *)data)[i];
}

static void nn_put(void *data, int32_t i, int32_t bytes, int32_t value)
{
    if (bytes == 1) {
        ((int8_t *)data)[i] = (int8_t)value;
    } else {
        ((int16_t *)data)[i] = (int16_t)value;
    }
}

/* Forget the oldest value of filter `f`, whose values begin at `first`, and append the newest. */
static void nn_remember(const nn_svdf_t *p, const int8_t *input, int32_t f, void *state,
                        int32_t first)
{
    const int32_t last = first + p->memory - 1;
    for (int32_t i = first; i < last; i++) {
        nn_put(state, i, p->state_bytes, nn_get(state, i + 1, p->state_bytes));
    }
    const int32_t high = p->state_bytes == 1 ? INT8_MAX : INT16_MAX;
    const int32_t acc = nn_dot_s8(0, input, p->input_offset,
                                  p->feature_weights + f * p->input_depth, p->input_depth);
    const int32_t value = nn_min(nn_max(nn_requantize(acc, p->state_requant), -high - 1), high);
    nn_put(state, last, p->state_bytes, value + p->state_zero_point);
}

/* Sum over one filter's past. */
static int32_t nn_recall(const nn_svdf_t *p, int32_t f, const void *state, int32_t first)
{
    uint32_t sum = 0;
    for (int32_t m = 0; m < p->memory; m++) {
        const int32_t value = nn_get(state, first + m, p->state_bytes) - p->state_zero_point;
        sum += (uint32_t)(value * nn_get(p->time_weights, f * p->memory + m, p->state_bytes));
    }
    return (int32_t)sum;
}

void nn_svdf_s8(const nn_svdf_t *p, const int8_t *input, void *state, int8_t *output)
{
    int32_t first = 0;
    for (int32_t b = 0; b < p->batches; b++) {
        for (int32_t u = 0; u < p->units; u++) {
            int32_t acc = p->bias[u];
            for (int32_t f = u * p->rank; f < (u + 1) * p->rank; f++) {
                nn_remember(p, input, f, state, first);
                acc = nn_wrapping_add(acc, nn_recall(p, f, state, first));
                first += p->memory;
            }
            *output++ = nn_output_s8(acc, p->output_requant, p->output_offset, INT8_MIN, INT8_MAX);
        }
        input += p->input_depth;
    }
}
