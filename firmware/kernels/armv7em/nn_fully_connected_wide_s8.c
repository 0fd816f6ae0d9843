/* out[b,o] = clamp(zp + requant_o(bias[o] + sum over i of (in[b,i] - zp_in) * w[o,i]))
 *
 * The inputs are widened once, into scratch; then four outputs at a time.
 * MACs: batches*output_depth*input_depth. Rounding: double, in a short form.
 */
#include "nn_dsp.h"
#include "nn_packed.h"

/* Of each four inputs first 0 and 2, then 1 and 3, as nn_dense_s8 takes them; zeros at the end. */
static void nn_widen(uint32_t *wide, const int8_t *input, int32_t count, const uint32_t *end)
{
    while (wide < end) {
        uint32_t word = 0;
        if (count >= 4) {
            word = nn_load_word(input);
        } else {
            for (int32_t i = 0; i < count; i++) {
                word |= (uint32_t)(uint8_t)input[i] << (8 * i);
            }
        }
        wide[0] = nn_sxtb16(word);
        wide[1] = nn_sxtb16(nn_rotate_right(word, 8));
        wide += 2;
        input += 4;
        count -= 4;
    }
}

void nn_fully_connected_wide_s8(const nn_dense_t *p, const int8_t *input, int8_t *output,
                                int8_t *scratch)
{
    uint32_t *const wide = (uint32_t *)(void *)scratch;
    for (int32_t b = 0; b < p->batches; b++) {
        nn_widen(wide, input, p->input_depth, wide + p->steps);
        nn_dense_outputs_s8(p, wide, output);
        input += p->input_depth;
        output += p->output_depth;
    }
}
