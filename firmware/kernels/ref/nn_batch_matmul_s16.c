/* out[n,i,j] = clamp(requant(sum over k of a[n,i,k] * b[n,k,j]))
 *
 * n walks up to three batch axes; an operand with stride 0 along one repeats there, and a
 * transposed one has its row and column strides exchanged. MACs: batches*rows*depth*columns.
 * Scratch: none. Rounding: wide (64-bit sums, 15-bit factors).
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int64_t nn_sum_products(const nn_batch_matmul_t *p, const int16_t *a, const int16_t *b)
{
    int64_t sum = 0;
    for (int32_t k = 0; k < p->depth; k++) {
        sum += a[k * p->a.column] * b[k * p->b.row];
    }
    return sum;
}

static void nn_multiply(const nn_batch_matmul_t *p, const int16_t *a, const int16_t *b,
                        int16_t *output)
{
    for (int32_t i = 0; i < p->rows; i++) {
        for (int32_t j = 0; j < p->columns; j++) {
            const int64_t acc = nn_sum_products(p, a + i * p->a.row, b + j * p->b.column);
            *output++ = nn_output_s16(acc, true, p->requant, INT16_MIN, INT16_MAX);
        }
    }
}

void nn_batch_matmul_s16(const nn_batch_matmul_t *p, const int16_t *a, const int16_t *b,
                         int16_t *output)
{
    for (int32_t x = 0; x < p->batches[0]; x++) {
        for (int32_t y = 0; y < p->batches[1]; y++) {
            for (int32_t z = 0; z < p->batches[2]; z++) {
                const int32_t *sa = p->a.batch;
                const int32_t *sb = p->b.batch;
                nn_multiply(p, a + x * sa[0] + y * sa[1] + z * sa[2],
                            b + x * sb[0] + y * sb[1] + z * sb[2], output);
                output += p->rows * p->columns;
            }
        }
    }
}
