/* Many windows in one call, for Python; not part of any firmware. */
#include "fe_host.h"

size_t fe_state_bytes(const fe_config_t *fe)
{
    const size_t channels = (size_t)fe->channels, window = (size_t)fe->window;
    const size_t rows = (size_t)fe->rows, columns = (size_t)fe->columns;
    if (fe->push == fe_push_raw) {
        return FE_RAW_STATE_BYTES(channels, window);
    }
    const size_t points = (size_t)fe->spectrum->points;
    if (fe->push == fe_push_spectral) {
        return FE_SPECTRAL_STATE_BYTES(channels, window, points, (size_t)fe->spectrum->filters);
    }
    return FE_LOGMEL_STATE_BYTES((size_t)fe->frame, points, rows, columns);
}

size_t fe_stream(const fe_config_t *fe, void *state, const int16_t *samples, size_t count,
                 int16_t *features)
{
    const size_t size = (size_t)(fe->rows * fe->columns);
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        made += fe_push(fe, state, samples + i * (size_t)fe->channels, features + made * size);
    }
    return made;
}

void fe_batch(const fe_config_t *fe, void *state, const int16_t *samples, size_t windows,
              int16_t *features)
{
    const size_t window = (size_t)fe->window;
    for (size_t i = 0; i < windows; i++) {
        fe_reset(fe, state);
        fe_stream(fe, state, samples + i * window * (size_t)fe->channels, window,
                  features + i * (size_t)(fe->rows * fe->columns));
    }
}
