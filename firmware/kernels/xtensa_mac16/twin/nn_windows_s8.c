/* What nn_windows_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_mac.h"

void nn_windows_s8(const nn_windows_t *p, const int16_t *x, int8_t *output, int32_t count)
{
    const int32_t *stream = p->stream;
    const int32_t inputs = NN_MAC_STEP * p->steps;
    for (int32_t channel = 0; channel < p->channels; channel++) {
        const nn_mac_t *const mac = (const nn_mac_t *)(const void *)stream;
        const int16_t *const weights = nn_mac_weights(mac);
        const int16_t *in = x;
        int8_t *out = output + channel;
        for (int32_t i = 0; i < count; i++) {
            *out = nn_mac_output(mac, nn_mac_sum(mac->first, in, weights, inputs));
            in += inputs + p->gap / 2;
            out += p->output_step;
        }
        stream = (const int32_t *)(const void *)(weights + inputs);
    }
}
