/* What nn_two_rows_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_packed.h"
#include "nn_sign.h"

void nn_two_rows_s8(const nn_batch_matmul_packed_t *p, const uint32_t *rows,
                    const uint32_t *columns, int8_t *output, int32_t pairs)
{
    int8_t *const next = output + p->matrices.columns;
    for (int32_t i = 0; i < 2 * pairs; i += 2) {
        int32_t sums[4];
        nn_four_sums_s16(rows, columns, p->quads, sums);
        columns += 4 * p->quads;
        for (int32_t k = 0; k < 2; k++) {
            output[i + k] = nn_sign_output(sums[2 * k], p->multiplier, p->constant, p->shift);
            next[i + k] = nn_sign_output(sums[2 * k + 1], p->multiplier, p->constant, p->shift);
        }
    }
}
