/* What nn_depthwise_dots_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_lines.h"

void nn_depthwise_dots_s8(const nn_lines_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < p->images * p->lines * p->outputs; i++) {
        const int32_t n = i / (p->lines * p->outputs);
        const int32_t line = i / p->outputs % p->lines;
        const int32_t t = i % p->outputs;
        const int8_t *const in = input + n * p->input_image + line * p->input_line + t * p->stride;
        int8_t *const out =
            output + n * p->output_image + line * p->output_line + t * p->output_step;
        for (int32_t c = 0; c < p->channels; c++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < p->kernel; k++) {
                sum += in[k * p->input_step + c] * nn_line_tap(p, k, c);
            }
            out[c] = nn_line_output(p, c, sum);
        }
    }
}
