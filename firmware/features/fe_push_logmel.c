/* Log-mel: frames of one channel, each transformed once; rows of log2 of the bank's powers.
 *
 * Silence is held at a floor, so that a recording's digital zeros look like a quiet room. With a
 * range the columns count from the largest of the network input, so that a loud and a quiet voice
 * look alike; they are scaled when it is known.
 * State behind fe_state_t: bins[points / 2 + 1], int16 rows[rows][columns], int16 ring[length].
 */
#include "fe_parts.h"

static void scale_row(const fe_config_t *fe, int16_t *row)
{
    for (int32_t f = 0; f < fe->columns; f++) {
        row[f] = fe_scaled(row[f], &fe->scales[f]);
    }
}

/* The frame that ends with the newest sample, as one row of features. */
static void make_row(const fe_config_t *fe, const fe_state_t *s, fe_bin_t *bins,
                     const int16_t *ring, int16_t *row)
{
    const fe_spectrum_t *const spectrum = fe->spectrum;
    const size_t count = (size_t)spectrum->points / 2;
    fe_load(spectrum, ring, fe->frame, s->next, 0, bins);
    fe_trace_add(s->trace, FE_STAGE_WINDOW, bins, count * sizeof(*bins));
    fe_power(spectrum, bins);
    fe_trace_add(s->trace, FE_STAGE_SPECTRUM, bins, (count + 1) * sizeof(*bins));
    const uint16_t *weight = spectrum->weights;
    for (int32_t f = 0; f < spectrum->filters; f++) {
        const int32_t level = fe_log2(spectrum, fe_filter(bins, &spectrum->bank[f], &weight));
        row[f] = (int16_t)(level < fe->floor ? fe->floor : level);
    }
    fe_trace_add(s->trace, FE_STAGE_BANDS, row, (size_t)fe->columns * sizeof(*row));
    if (fe->range == 0) {
        scale_row(fe, row);
    }
}

/* All rows of a network input, from their largest column on downwards. */
static void make_relative(const fe_config_t *fe, int16_t *features)
{
    const int32_t size = fe->rows * fe->columns;
    int32_t largest = fe->floor;
    for (int32_t i = 0; i < size; i++) {
        largest = features[i] > largest ? features[i] : largest;
    }
    const int32_t lowest = largest - fe->range;
    for (int32_t i = 0; i < size; i++) {
        features[i] = (int16_t)((features[i] < lowest ? lowest : features[i]) - largest);
    }
    for (int32_t i = 0; i < size; i += fe->columns) {
        scale_row(fe, features + i);
    }
}

bool fe_push_logmel(const fe_config_t *fe, void *state, const int16_t *sample, int16_t *features)
{
    fe_state_t *const s = state;
    fe_bin_t *const bins = (fe_bin_t *)(s + 1);
    int16_t *const rows = (int16_t *)(bins + fe->spectrum->points / 2 + 1);
    int16_t *const ring = rows + fe->rows * fe->columns;
    ring[s->next] = sample[0];
    s->next = s->next + 1 == fe->frame ? 0 : s->next + 1;
    if (--s->due > 0) {
        return false;
    }
    s->due = fe->frame_hop;
    make_row(fe, s, bins, ring, rows + s->row * fe->columns);
    s->row = s->row + 1 == fe->rows ? 0 : s->row + 1;
    if (--s->rows_due > 0) {
        return false;
    }
    s->rows_due = fe->rows_hop;
    const int32_t size = fe->rows * fe->columns;
    fe_copy_ring(features, rows, size, s->row * fe->columns);
    if (fe->range > 0) {
        make_relative(fe, features);
    }
    fe_trace_add(s->trace, FE_STAGE_FEATURES, features, (size_t)size * sizeof(int16_t));
    return true;
}
