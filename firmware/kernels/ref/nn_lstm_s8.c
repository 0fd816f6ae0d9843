/* For each step t, with the output h of the step before (of the hidden state at t = 0), each gate:
 *     z = clamp(requant(bias + sum over i of (x[i] - zp_in) * wx[u,i]))
 *       + clamp(requant(sum over v of (h[v] - zp) * wh[u,v])), clamped again, in Q3.12
 *     i, f, o = logistic(z) and g = tanh(z) in Q0.15
 *     cell[u] = clip(clamp(requant(f * cell[u])) + clamp(requant(i * g)))
 *     out[u] = clamp(zp + requant(o * tanh(cell[u])))
 *
 * The last output of each batch becomes its hidden state; both states, [batches][units], stay in
 * the arena between runs. Input, output and states do not overlap. See nn_sigmoid.h.
 * MACs: batches*steps*4*units*(input_depth + units). Scratch: none.
 * Rounding: double; logistic and tanh by a table.
 */
#include "nn_kernels.h"
#include "nn_math.h"
#include "nn_sigmoid.h"

static int32_t nn_saturate(int32_t x)
{
    return nn_clamp_s16(x, INT16_MIN, INT16_MAX);
}

/* What a gate's logistic function or tanh is taken of, in units of 1 / 12288. */
static int32_t nn_gate(const nn_lstm_t *p, const nn_lstm_gate_t *gate, const int8_t *input,
                       const int8_t *hidden, int32_t unit)
{
    const int32_t fresh = nn_dot_s8(gate->bias[unit], input, p->input_offset,
                                    gate->input_weights + unit * p->input_depth, p->input_depth);
    const int32_t past = nn_dot_s8(0, hidden, -p->hidden_offset,
                                   gate->recurrent_weights + unit * p->units, p->units);
    return 3 * nn_saturate(nn_saturate(nn_requantize(fresh, gate->input_requant)) +
                           nn_saturate(nn_requantize(past, gate->recurrent_requant)));
}

/* One unit at one step: changes its cell state, returns its output. */
static int8_t nn_unit(const nn_lstm_t *p, const int8_t *input, const int8_t *hidden, int32_t unit,
                      int16_t *cell)
{
    const uint16_t *const table = p->sigmoid;
    const int32_t i = nn_logistic(table, nn_gate(p, &p->input_gate, input, hidden, unit));
    const int32_t f = nn_logistic(table, nn_gate(p, &p->forget_gate, input, hidden, unit));
    const int32_t g = nn_tanh(table, nn_gate(p, &p->cell_gate, input, hidden, unit));
    const int32_t o = nn_logistic(table, nn_gate(p, &p->output_gate, input, hidden, unit));

    const int32_t old = *cell;
    const int32_t kept = nn_saturate(nn_requantize(f * old, p->forget_requant));
    const int32_t added = nn_saturate(nn_requantize(i * g, p->update_requant));
    *cell = nn_clamp_s16(nn_saturate(kept + added), -p->cell_clip, p->cell_clip);

    const int32_t x = nn_sigmoid_argument(*cell, p->tanh_multiplier, p->tanh_shift);
    return nn_output_s8(o * nn_tanh(table, x), p->output_requant, p->hidden_offset, INT8_MIN,
                        INT8_MAX);
}

void nn_lstm_s8(const nn_lstm_t *p, const int8_t *input, int8_t *hidden, int16_t *cell,
                int8_t *output)
{
    for (int32_t b = 0; b < p->batches; b++) {
        const int8_t *past = hidden + b * p->units;
        for (int32_t t = 0; t < p->steps; t++) {
            const int32_t row = b * p->batch_rows + t * p->step_rows;
            int8_t *const out = output + row * p->units;
            for (int32_t u = 0; u < p->units; u++) {
                out[u] = nn_unit(p, input + row * p->input_depth, past, u, cell + b * p->units + u);
            }
            past = out;
        }
        for (int32_t u = 0; u < p->units; u++) {
            hidden[b * p->units + u] = past[u];
        }
    }
}
