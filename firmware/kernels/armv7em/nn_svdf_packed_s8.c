/* The second half of nn_svdf_s8: the state takes the newest features, a weighted sum over each
 * unit's filters becomes its output. nn_packed.h describes the operands.
 *
 * MACs: batches*filters*memory. Rounding: double.
 */
#include "nn_packed.h"

void nn_svdf_packed_s8(const nn_svdf_packed_t *p, void *state, int8_t *output, int8_t *newest)
{
    int8_t *past = state;
    for (int32_t b = 0; b < p->batches; b++) {
        past = nn_svdf_units_s8(p, past, output, newest);
        output += p->units;
        newest += p->filters;
    }
}
