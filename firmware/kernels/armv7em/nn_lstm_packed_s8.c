/* nn_lstm_s8 with a unit's four gates at a time, on weights as nn_packed.h describes them.
 *
 * The input of a step and the hidden state are widened once, into scratch; nn_lstm_units.inc has
 * the budget of a unit. MACs: batches*steps*4*units*(input_depth + units). Rounding: double;
 * logistic and tanh by a table.
 */
#include "nn_dense.h"

void nn_lstm_packed_s8(const nn_lstm_packed_t *p, const int8_t *input, int8_t *hidden,
                       int16_t *cell, int8_t *output, int8_t *scratch)
{
    uint32_t *const x = (uint32_t *)(void *)scratch;
    uint32_t *const h = x + p->input_bytes / 4;
    uint32_t *const end = h + p->hidden_bytes / 4;
    for (int32_t b = 0; b < p->batches; b++) {
        nn_dense_widen(h, hidden, p->units, end);
        for (int32_t t = 0; t < p->steps; t++) {
            const int32_t row = b * p->batch_rows + t * p->step_rows;
            int8_t *const out = output + row * p->units;
            nn_dense_widen(x, input + row * p->input_depth, p->input_depth, h);
            p->step(p, x, cell, out);
            nn_dense_widen(h, out, p->units, end);
        }
        memcpy(hidden, output + (b * p->batch_rows + (p->steps - 1) * p->step_rows) * p->units,
               (size_t)p->units);
        hidden += p->units;
        cell += p->units;
    }
}
