/* Spectral: a row for each channel. With x the samples of the window, minus their mean rounded to
 * an LSB where remove_mean is set, the columns are
 *
 *   0 mean        of the samples, before it is taken away
 *   1 energy      log2 of the sum of x^2, Q8
 *   2 range       log2 of the largest minus the smallest x, Q8
 *   3 form        energy - 2 log2(sum of |x|), Q8: 0 is one spike, -log2(window) a square
 *   4 crossings   how often x changes its sign; 0 counts as positive
 *   5 ... bands   log2 of the power in each filter, summed over segments that overlap, Q8
 *
 * log2 of 0 is 0. State behind fe_state_t: bins[points / 2 + 1], uint64 sums[filters], int16
 * ring[channels][window].
 */
#include "fe_parts.h"

/* |x| < 2^16 and window <= 2^13, so sums of |x| stay below 2^29 and sums of x^2 below 2^45. */
static void statistics(const fe_config_t *fe, const int16_t *ring, int32_t first, int32_t mean,
                       int16_t *row)
{
    uint64_t squares = 0;
    uint32_t sum = 0;
    int32_t lowest = INT16_MAX, highest = INT16_MIN, crossings = 0;
    bool was_negative = ring[first] < mean;
    for (int32_t i = 0, at = first; i < fe->window; i++) {
        const int32_t x = ring[at] - mean;
        const uint32_t size = (uint32_t)(x < 0 ? -x : x);
        squares += size * size;
        sum += size;
        lowest = ring[at] < lowest ? ring[at] : lowest;
        highest = ring[at] > highest ? ring[at] : highest;
        crossings += (x < 0) != was_negative;
        was_negative = x < 0;
        at = at + 1 == fe->window ? 0 : at + 1;
    }
    const int32_t energy = fe_log2(fe->spectrum, squares);
    row[1] = (int16_t)energy;
    row[2] = (int16_t)fe_log2(fe->spectrum, (uint64_t)(highest - lowest));
    row[3] = (int16_t)(energy - 2 * fe_log2(fe->spectrum, sum));
    row[4] = (int16_t)crossings;
}

static int32_t mean_of(const fe_config_t *fe, const int16_t *samples)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < fe->window; i++) {
        sum += samples[i];
    }
    return (int32_t)((sum * fe->reciprocal + (INT64_C(1) << 29)) >> 30);
}

/* log2 of the power in each filter, over all segments of a window. */
static void bands(const fe_config_t *fe, const fe_state_t *s, const int16_t *ring, int32_t mean,
                  int16_t *row)
{
    const fe_spectrum_t *const spectrum = fe->spectrum;
    const size_t count = (size_t)spectrum->points / 2;
    fe_bin_t *const bins = (fe_bin_t *)(s + 1);
    uint64_t *const sums = (uint64_t *)(bins + count + 1);
    for (int32_t f = 0; f < spectrum->filters; f++) {
        sums[f] = 0;
    }
    for (int32_t at = 0; at + spectrum->length <= fe->window; at += fe->segment_hop) {
        const int32_t first = s->next + at;
        fe_load(spectrum, ring, fe->window, first < fe->window ? first : first - fe->window, mean,
                bins);
        fe_trace_add(s->trace, FE_STAGE_WINDOW, bins, count * sizeof(*bins));
        fe_power(spectrum, bins);
        fe_trace_add(s->trace, FE_STAGE_SPECTRUM, bins, (count + 1) * sizeof(*bins));
        const uint16_t *weights = spectrum->weights;
        for (int32_t f = 0; f < spectrum->filters; f++) {
            sums[f] += fe_filter(bins, &spectrum->bank[f], &weights);
        }
    }
    for (int32_t f = 0; f < spectrum->filters; f++) {
        row[f] = (int16_t)fe_log2(spectrum, sums[f]);
    }
}

bool fe_push_spectral(const fe_config_t *fe, void *state, const int16_t *sample, int16_t *features)
{
    fe_state_t *const s = state;
    uint64_t *const sums = (uint64_t *)((fe_bin_t *)(s + 1) + fe->spectrum->points / 2 + 1);
    int16_t *const ring = (int16_t *)(sums + fe->spectrum->filters);
    for (int32_t c = 0; c < fe->channels; c++) {
        ring[c * fe->window + s->next] = sample[c];
    }
    s->next = s->next + 1 == fe->window ? 0 : s->next + 1;
    if (--s->due > 0) {
        return false;
    }
    s->due = fe->hop;
    for (int32_t c = 0; c < fe->channels; c++) {
        const int16_t *const samples = ring + c * fe->window;
        int16_t *const row = features + c * fe->columns;
        const int32_t mean = mean_of(fe, samples);
        const int32_t taken = fe->remove_mean ? mean : 0;
        row[0] = (int16_t)mean;
        statistics(fe, samples, s->next, taken, row);
        bands(fe, s, samples, taken, row + FE_STATISTICS);
    }
    const int32_t size = fe->rows * fe->columns;
    fe_trace_add(s->trace, FE_STAGE_BANDS, features, (size_t)size * sizeof(int16_t));
    for (int32_t i = 0; i < size; i++) {
        features[i] = fe_scaled(features[i], &fe->scales[i]);
    }
    fe_trace_add(s->trace, FE_STAGE_FEATURES, features, (size_t)size * sizeof(int16_t));
    return true;
}
