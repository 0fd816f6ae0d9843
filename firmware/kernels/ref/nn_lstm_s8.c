/* For each step t, with the output h of the step before (of the hidden state at t = 0):
 *     z = clamp16(requant(bias + sum over i of (x[i] - zp_in) * wx[u,i]))
 *       + clamp16(requant(sum over v of (h[v] - zp) * wh[u,v])), clamped, in Q3.12, for each gate
 *     i, f, o = sigmoid(z) and g = tanh(z) in Q0.15
 *     cell[u] = clamp(clamp16(requant(f * cell[u])) + clamp16(requant(i * g)))
 *     out[u] = clamp(zp + requant(o * tanh(cell[u])))
 * sigmoid is read from a table of 256 values with linear interpolation, and so is
 * tanh(x) = 2 sigmoid(2x) - 1.
 *
 * The last output of each batch becomes its hidden state; both states stay in the arena between
 * runs. The states are [batches][units].
 * MACs: batches*steps*4*units*(input_depth + units). Scratch: none.
 * Rounding: double; the table's values are rounded half up, away from zero below.
 */
#include "nn_kernels.h"
#include "nn_math.h"

static int32_t nn_clamp_s16(int32_t x)
{
    return nn_min(nn_max(x, INT16_MIN), INT16_MAX);
}

/* Between two values of the table, times 2^bits; `top` beyond its end. */
static int32_t nn_interpolate(const uint16_t *table, int32_t magnitude, int32_t bits, int32_t top)
{
    const int32_t place = magnitude >> bits;
    if (place >= 255) {
        return top;
    }
    const int32_t part = magnitude & ((1 << bits) - 1);
    return table[place] * (1 << bits) + part * (table[place + 1] - table[place]);
}

/* Of x / 12288, in Q0.15. */
static int32_t nn_sigmoid(const uint16_t *table, int32_t x)
{
    const int32_t value = nn_interpolate(table, x < 0 ? -x : x, 9, INT16_MAX << 10);
    return (x < 0 ? (1 << 25) - value + 511 : value + 512) >> 10;
}

/* Of x / 12288, in Q0.15. */
static int32_t nn_tanh(const uint16_t *table, int32_t x)
{
    const int32_t value = nn_interpolate(table, x < 0 ? -x : x, 8, UINT16_MAX << 8) - (1 << 23);
    return (x < 0 ? 127 - value : value + 128) >> 8;
}

/* What a gate's sigmoid or tanh is taken of, times 12288. */
static int32_t nn_gate(const nn_lstm_t *p, const nn_lstm_gate_t *gate, const int8_t *input,
                       const int8_t *hidden, int32_t unit)
{
    const int32_t fresh = nn_dot_s8(gate->bias[unit], input, p->input_offset,
                                    gate->input_weights + unit * p->input_depth, p->input_depth);
    const int32_t past = nn_dot_s8(0, hidden, -p->hidden_offset,
                                   gate->recurrent_weights + unit * p->units, p->units);
    return 3 * nn_clamp_s16(nn_clamp_s16(nn_requantize(fresh, gate->input_requant)) +
                            nn_clamp_s16(nn_requantize(past, gate->recurrent_requant)));
}

/* One unit at one step: changes its cell state, returns its output. */
static int8_t nn_unit(const nn_lstm_t *p, const int8_t *input, const int8_t *hidden, int32_t unit,
                      int16_t *cell)
{
    const uint16_t *const table = p->sigmoid;
    const int32_t i = nn_sigmoid(table, nn_gate(p, &p->input_gate, input, hidden, unit));
    const int32_t f = nn_sigmoid(table, nn_gate(p, &p->forget_gate, input, hidden, unit));
    const int32_t g = nn_tanh(table, nn_gate(p, &p->cell_gate, input, hidden, unit));
    const int32_t o = nn_sigmoid(table, nn_gate(p, &p->output_gate, input, hidden, unit));

    const int32_t old = *cell;
    const int32_t kept = nn_clamp_s16(nn_requantize(f * old, p->forget_requant));
    const int32_t added = nn_clamp_s16(nn_requantize(i * g, p->update_requant));
    const int32_t sum = nn_clamp_s16(kept + added);
    *cell = (int16_t)nn_min(nn_max(sum, -p->cell_clip), p->cell_clip);

    const int32_t half = p->tanh_shift > 0 ? 1 << (p->tanh_shift - 1) : 0;
    const int32_t scaled = (*cell * p->tanh_multiplier + half) >> p->tanh_shift;
    return nn_output_s8(o * nn_tanh(table, scaled), p->output_requant, p->hidden_offset, INT8_MIN,
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
