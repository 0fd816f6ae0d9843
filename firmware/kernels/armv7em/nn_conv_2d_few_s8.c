/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over c of (in[n,y*sh,x*sw,c] - zp_in) *
 * w[o,c]))
 *
 * 1 x 1, of up to sixteen inputs; a pixel at a time (nn_few_8_s8, nn_few_16_s8). Each reads all
 * weights, so these are copied to RAM first. A pixel is read in whole words: the last one from a
 * copy.
 * MACs: n*h*w*out_c*in_c. Rounding: double, in a short form.
 */
#include <string.h>

#include "nn_packed.h"

void nn_conv_2d_few_s8(const nn_few_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    nn_few_t part = *p;
    part.stream = nn_in_ram(scratch, p->stream, p->words);
    for (int32_t line = p->lines;; line--) {
        part.pixels = line > 1 ? p->pixels : p->pixels - 1;
        if (part.pixels > 0) {
            p->kernel(&part, input, output);
            output += part.pixels * p->channels;
        }
        if (line == 1) {
            break;
        }
        input += p->line_bytes;
    }
    int8_t last[NN_FEW_INPUTS] = {0};
    memcpy(last, input + part.pixels * p->pixel_bytes, (size_t)p->inputs);
    part.pixels = 1;
    p->kernel(&part, last, output);
}
