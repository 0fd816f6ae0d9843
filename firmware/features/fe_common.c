/* What every front end shares: its state, its trace, the requantisation to the network's input. */
#include <string.h>

#include "fe_parts.h"

#define FNV_START UINT32_C(2166136261)
#define FNV_PRIME UINT32_C(16777619)

void fe_reset(const fe_config_t *fe, void *state)
{
    *(fe_state_t *)state = (fe_state_t){.due = fe->frame, .rows_due = fe->rows};
}

bool fe_push(const fe_config_t *fe, void *state, const int16_t *sample, int16_t *features)
{
    return fe->push(fe, state, sample, features);
}

void fe_quantise(const int16_t *features, size_t count, int32_t multiplier, int32_t shift,
                 int32_t zero_point, int8_t *input)
{
    const int32_t half = INT32_C(1) << (shift - 1); /* |product| + half < 2^30 + 2^29 */
    for (size_t i = 0; i < count; i++) {
        const int32_t product = features[i] * multiplier;
        const int32_t rounded =
            product < 0 ? -((half - product) >> shift) : (product + half) >> shift;
        const int32_t value = zero_point + rounded;
        input[i] = (int8_t)(value > INT8_MAX ? INT8_MAX : value < INT8_MIN ? INT8_MIN : value);
    }
}

void fe_trace(void *state, fe_trace_t *trace)
{
    ((fe_state_t *)state)->trace = trace;
    for (size_t i = 0; trace != NULL && i < FE_STAGES; i++) {
        trace->hash[i] = FNV_START;
    }
}

void fe_trace_add(fe_trace_t *trace, fe_stage_t stage, const void *data, size_t bytes)
{
    if (trace == NULL) {
        return;
    }
    uint32_t hash = trace->hash[stage];
    for (const uint8_t *at = data, *const end = at + bytes; at != end; at++) {
        hash = (hash ^ *at) * FNV_PRIME;
    }
    trace->hash[stage] = hash;
}

int16_t fe_scaled(int32_t value, const fe_scale_t *scale)
{
    const int32_t feature = (value * scale->multiplier + scale->bias) >> scale->shift;
    return (int16_t)(feature > INT16_MAX ? INT16_MAX : feature < INT16_MIN ? INT16_MIN : feature);
}

void fe_copy_ring(int16_t *to, const int16_t *ring, int32_t size, int32_t oldest)
{
    memcpy(to, ring + oldest, (size_t)(size - oldest) * sizeof(int16_t));
    memcpy(to + (size - oldest), ring, (size_t)oldest * sizeof(int16_t));
}
