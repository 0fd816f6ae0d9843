/* nn_batch_matmul_s8, two rows times two columns at a time.
 *
 * A block of columns of b is widened into scratch, then two rows of a at a time. What is missing of
 * a second row or column or of the last four values is 0. With 64 values and a block of 32 columns
 * about 1.1 instructions a MAC.
 * MACs: batches*rows*depth*columns. Rounding: double, in a short form.
 */
#include "nn_dsp.h"
#include "nn_math.h"
#include "nn_packed.h"

/* Widen a vector of `count` values, `step` apart, plus `offset`, to every other word of `wide`. */
static void nn_widen_vector(uint32_t *wide, int32_t quads, const int8_t *values, int32_t count,
                            int32_t step, int32_t offset)
{
    const uint32_t both = ((uint32_t)offset & 0xFFFFU) * 0x10001U;
    uint32_t *const end = wide + 4 * quads;
    for (; count >= 4; count -= 4) {
        uint32_t word;
        if (step == 1) {
            word = nn_load_word(values);
        } else {
            word = (uint32_t)(uint8_t)values[0] | (uint32_t)(uint8_t)values[step] << 8 |
                   (uint32_t)(uint8_t)values[2 * step] << 16 |
                   (uint32_t)(uint8_t)values[3 * step] << 24;
        }
        wide[0] = nn_sxtab16(both, word);
        wide[2] = nn_sxtab16_odd(both, word);
        wide += 4;
        values += 4 * step;
    }
    for (; wide < end; wide += 4) {
        uint32_t halves[4] = {0, 0, 0, 0};
        for (int32_t i = 0; i < count; i++) {
            halves[i] = (uint32_t)(values[i * step] + offset) & 0xFFFFU;
        }
        wide[0] = halves[0] | halves[2] << 16;
        wide[2] = halves[1] | halves[3] << 16;
        count = 0;
    }
}

/* The rows or columns `first` and the one behind it, of `count`. */
static void nn_widen_two(uint32_t *wide, int32_t quads, const int8_t *values, int32_t first,
                         int32_t count, int32_t stride, int32_t depth, int32_t step, int32_t offset)
{
    for (int32_t i = 0; i < 2; i++) {
        const int32_t length = first + i < count ? depth : 0;
        nn_widen_vector(wide + i, quads, values + (first + i) * stride, length, step, offset);
    }
}

static int8_t nn_rounded(const nn_batch_matmul_packed_t *p, int32_t sum)
{
    const int32_t value = nn_smmlar(2 * sum, p->multiplier, p->constant) + (sum < 0 ? -1 : 0);
    return (int8_t)nn_min(nn_max(value >> p->shift, INT8_MIN), INT8_MAX);
}

/* The columns from `left` to `right` of one product; `wide` are those of b, behind them two rows.
 */
static void nn_columns(const nn_batch_matmul_packed_t *p, const int8_t *a, int8_t *output,
                       const uint32_t *columns, uint32_t *rows, int32_t left, int32_t right)
{
    const nn_batch_matmul_t *const m = &p->matrices;
    for (int32_t i = 0; i < m->rows; i += 2) {
        const int32_t pairs = i + 1 < m->rows ? (right - left) / 2 : 0;
        const uint32_t *two = columns + 4 * p->quads * pairs;
        nn_widen_two(rows, p->quads, a, i, m->rows, m->a.row, m->depth, m->a.column, m->a.offset);
        if (pairs > 0) {
            nn_two_rows_s8(p, rows, columns, output + i * m->columns + left, pairs);
        }
        for (int32_t j = left + 2 * pairs; j < right; j += 2) {
            int32_t sums[4];
            nn_four_sums_s16(rows, two, p->quads, sums);
            two += 4 * p->quads;
            int8_t *const out = output + i * m->columns + j;
            out[0] = nn_rounded(p, sums[0]);
            if (i + 1 < m->rows) {
                out[m->columns] = nn_rounded(p, sums[1]);
            }
            if (j + 1 < right) {
                out[1] = nn_rounded(p, sums[2]);
                if (i + 1 < m->rows) {
                    out[m->columns + 1] = nn_rounded(p, sums[3]);
                }
            }
        }
    }
}

static void nn_product_of_two(const nn_batch_matmul_packed_t *p, const int8_t *a, const int8_t *b,
                              int8_t *output, uint32_t *scratch)
{
    const nn_batch_matmul_t *const m = &p->matrices;
    uint32_t *const rows = scratch + 2 * p->quads * p->block;
    for (int32_t left = 0; left < m->columns; left += p->block) {
        const int32_t right = nn_min(left + p->block, m->columns);
        uint32_t *wide = scratch;
        for (int32_t j = left; j < right; j += 2) {
            nn_widen_two(wide, p->quads, b, j, right, m->b.column, m->depth, m->b.row, m->b.offset);
            wide += 4 * p->quads;
        }
        nn_columns(p, a, output, scratch, rows, left, right);
    }
}

void nn_batch_matmul_packed_s8(const nn_batch_matmul_packed_t *p, const int8_t *a, const int8_t *b,
                               int8_t *output, int8_t *scratch)
{
    const nn_batch_matmul_t *const m = &p->matrices;
    uint32_t *const words = (uint32_t *)(void *)scratch;
    for (int32_t x = 0; x < m->batches[0]; x++) {
        for (int32_t y = 0; y < m->batches[1]; y++) {
            for (int32_t z = 0; z < m->batches[2]; z++) {
                const int32_t *sa = m->a.batch;
                const int32_t *sb = m->b.batch;
                nn_product_of_two(p, a + x * sa[0] + y * sa[1] + z * sa[2],
                                  b + x * sb[0] + y * sb[1] + z * sb[2], output, words);
                output += m->rows * m->columns;
            }
        }
    }
}
