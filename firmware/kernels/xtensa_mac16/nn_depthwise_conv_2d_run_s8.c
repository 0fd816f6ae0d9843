/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over k of
 *                (in[n, place(y, x) + k, o / m] - zp_in) * w[k,o]))
 *
 * m is the depth multiplier; windows lie along rows or along columns. A line of one channel is
 * copied to halfwords side by side. With an odd stride every other window begins in the middle of a
 * word: these have weights of their own, behind a zero. MACs: n*h*w*out_c*k. Rounding: double, in
 * two products.
 */
#include <stdbool.h>
#include <stddef.h>

#include "nn_mac16.h"

static const int32_t *nn_next_windows(const nn_windows_t *windows)
{
    const nn_mac_t *const mac = (const nn_mac_t *)(const void *)windows->stream;
    const bool is_kept = (mac->shift & NN_MAC_KEPT) != 0;
    const size_t bytes = is_kept ? sizeof(nn_mac_kept_t) : sizeof(nn_mac_t);
    return windows->stream + (int32_t)bytes / 4 + NN_MAC_STEP / 2 * windows->steps;
}

/* All lines of one channel; returns what is behind it in the stream. */
static const int32_t *nn_run_channel(const nn_depthwise_run_t *p, const int32_t *stream,
                                     const int8_t *input, int8_t *output, int16_t *x)
{
    nn_windows_t windows = p->windows;
    for (int32_t line = 0; line < p->lines; line++) {
        nn_plane_s8(&p->plane, input, x);
        windows.stream = stream;
        nn_windows_s8(&windows, x, output, p->even);
        windows.stream = nn_next_windows(&windows);
        if (p->odd > 0) {
            nn_windows_s8(&windows, x + p->odd_start, output + p->odd_output, p->odd);
            windows.stream = nn_next_windows(&windows);
        }
        input += p->line_inputs;
        output += p->line_outputs;
    }
    return windows.stream;
}

void nn_depthwise_conv_2d_run_s8(const nn_depthwise_run_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch)
{
    int16_t *const x = (int16_t *)(void *)scratch;
    for (int32_t i = 0; i < p->halfwords; i++) {
        x[i] = (int16_t)(p->pad_value + 128);
    }
    for (int32_t n = 0; n < p->images; n++) {
        const int32_t *stream = p->stream;
        int8_t *out = output;
        for (int32_t c = 0; c < p->channels; c++) {
            for (int32_t m = 0; m < p->depth_multiplier; m++) {
                stream = nn_run_channel(p, stream, input + c, out++, x);
            }
        }
        input += p->input_bytes;
        output += p->output_bytes;
    }
}
