/* Log-mel: frames of one channel, each transformed once; rows of log2 of the bank's powers.
 *
 * Silence is held at a floor, so that a recording's digital zeros look like a quiet room. With PCAN
 * (per-channel amplitude normalisation) each band is divided by a power of its running mean, so
 * that what lasts fades and what begins stands out; the mean starts anew in every network input, so
 * that an input depends on its own samples alone. With a range the columns count from the largest
 * of the network input, so that a loud and a quiet voice look alike. Rows of both stay absolute in
 * the ring, and are scaled in the network input.
 * State behind fe_state_t: bins[points / 2 + 1], int16 rows[rows][columns], int16 ring[length].
 */
#include "fe_parts.h"

static void scale_row(const fe_config_t *fe, int16_t *row)
{
    for (int32_t f = 0; f < fe->columns; f++) {
        row[f] = fe_scaled(row[f], &fe->scales[f]);
    }
}

/* Whether columns are scaled only when all of a network input are known. */
static bool is_late(const fe_config_t *fe)
{
    return fe->range > 0 || fe->pcan > 0;
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
    if (!is_late(fe)) {
        scale_row(fe, row);
    }
}

/* log2 of the running mean of powers, Q12, after a power whose log2 is `level`, Q8. */
static int32_t moved(const fe_config_t *fe, int32_t mean, int32_t level)
{
    const int32_t step = level * 16 - mean;
    const int32_t lowest = -(INT32_C(16) << 12), highest = (INT32_C(16) << 12) - 1;
    const int32_t place = (step < lowest ? lowest : step > highest ? highest : step) - lowest;
    const int16_t *const entry = fe->mean + (place >> 10);
    const int32_t part = ((entry[1] - entry[0]) * (place & 1023)) >> 10;
    return mean + (step > 0 ? step : 0) + entry[0] + part;
}

/* Each column, from the oldest row on, less a share of its running mean's height over the floor. */
static void normalise(const fe_config_t *fe, int16_t *features)
{
    for (int32_t f = 0; f < fe->columns; f++) {
        int16_t *value = features + f;
        int32_t mean = *value * 16;
        for (int32_t r = 0; r < fe->rows; r++) {
            mean = moved(fe, mean, *value);
            *value = (int16_t)(*value - ((fe->pcan * (mean - fe->floor * 16) + 2048) >> 12));
            value += fe->columns;
        }
    }
}

/* All rows of a network input, from their largest column on downwards. */
static void make_relative(const fe_config_t *fe, int16_t *features)
{
    const int32_t size = fe->rows * fe->columns;
    int32_t largest = features[0];
    for (int32_t i = 1; i < size; i++) {
        largest = features[i] > largest ? features[i] : largest;
    }
    const int32_t lowest = largest - fe->range;
    for (int32_t i = 0; i < size; i++) {
        features[i] = (int16_t)((features[i] < lowest ? lowest : features[i]) - largest);
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
    if (fe->pcan > 0) {
        normalise(fe, features);
    }
    if (fe->range > 0) {
        make_relative(fe, features);
    }
    for (int32_t i = 0; is_late(fe) && i < size; i += fe->columns) {
        scale_row(fe, features + i);
    }
    fe_trace_add(s->trace, FE_STAGE_FEATURES, features, (size_t)size * sizeof(int16_t));
    return true;
}
