/* Raw: every sample by its channel's scale; the ring keeps features.
 *
 * State behind fe_state_t: int16 ring[window][channels].
 */
#include "fe_parts.h"

bool fe_push_raw(const fe_config_t *fe, void *state, const int16_t *sample, int16_t *features)
{
    fe_state_t *const s = state;
    int16_t *const ring = (int16_t *)(s + 1);
    int16_t *const place = ring + s->next * fe->channels;
    for (int32_t c = 0; c < fe->channels; c++) {
        place[c] = fe_scaled(sample[c], &fe->scales[c]);
    }
    s->next = s->next + 1 == fe->window ? 0 : s->next + 1;
    if (--s->due > 0) {
        return false;
    }
    s->due = fe->hop;
    const int32_t size = fe->window * fe->channels;
    fe_copy_ring(features, ring, size, s->next * fe->channels);
    fe_trace_add(s->trace, FE_STAGE_FEATURES, features, (size_t)size * sizeof(int16_t));
    return true;
}
