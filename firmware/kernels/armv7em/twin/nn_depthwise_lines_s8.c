/* What nn_depthwise_lines_s8.S computes, for machines without its instructions. Rounding: double.
 */
#include "nn_lines.h"

/* One line of a channel, which scratch takes before an output lies on it. */
static void nn_line(const nn_lines_t *p, int32_t c, const int8_t *in, int8_t *out, int16_t *line)
{
    for (int32_t t = 0; t < 2 * p->pairs; t++) {
        line[t] = (int8_t)(p->pad_word & 0xFF);
    }
    for (int32_t t = 0; t < p->inputs; t++) {
        line[p->pad + t] = in[t * p->input_step];
    }
    for (int32_t t = 0; t < p->outputs; t++) {
        int32_t sum = 0;
        for (int32_t k = 0; k < p->kernel; k++) {
            sum += line[t + k] * nn_line_tap(p, k, c);
        }
        out[t * p->output_step] = nn_line_output(p, c, sum);
    }
}

void nn_depthwise_lines_s8(const nn_lines_t *p, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    int16_t *const halfwords = (int16_t *)(void *)scratch;
    for (int32_t n = 0; n < p->images; n++) {
        for (int32_t i = 0; i < p->channels * p->lines; i++) {
            const int32_t c = i / p->lines;
            const int32_t line = i % p->lines;
            nn_line(p, c, input + line * p->input_line + c, output + line * p->output_line + c,
                    halfwords);
        }
        input += p->input_image;
        output += p->output_image;
    }
}
