#include "decide.h"

#include <stdbool.h>
#include <string.h>

void decide_reset(decide_t *state)
{
    *state = (decide_t){.counted = 0};
}

/* Write the mean of the rows behind the first into it; returns the best class. */
static uint32_t average(int8_t *rows, uint32_t counted, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t sum = counted / 2u;
        for (uint32_t k = 1; k <= counted; k++) {
            sum += (uint32_t)(rows[k * count + i] + 128);
        }
        rows[i] = (int8_t)((int32_t)(sum / counted) - 128);
        best = rows[i] > rows[best] ? i : best;
    }
    return best;
}

int32_t decide_push(decide_t *state, const decide_rule_t *rule, const int8_t *scores,
                    uint32_t count, int8_t *rows)
{
    if (rule->inputs == 0 || rule->inputs > DECIDE_MAX_INPUTS || count == 0) {
        return DECIDE_NOTHING;
    }
    const bool filling = state->counted < rule->inputs;
    if (state->next >= rule->inputs || state->counted > rule->inputs ||
        (filling && state->next != state->counted)) {
        decide_reset(state); /* another rule's, whose rows lie in another order */
    }
    memcpy(&rows[(state->next + 1) * count], scores, count);
    state->next = state->next + 1 < rule->inputs ? state->next + 1 : 0;
    state->counted += state->counted < rule->inputs ? 1 : 0;
    const uint32_t best = average(rows, state->counted, count);
    if (state->silent > 0) {
        state->silent--;
        return DECIDE_NOTHING;
    }
    if (state->counted < rule->inputs || rows[best] < rule->threshold) {
        return DECIDE_NOTHING;
    }
    state->silent = rule->pause;
    return (int32_t)best;
}
