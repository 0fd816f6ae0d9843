/* What nn_depthwise_rows_s8.S computes, for machines without its instructions. Rounding: double.
 */
#include "nn_lines.h"

/* Padded row y of a channel into the ring, before an output lies on it. */
static void nn_keep_row(const nn_depthwise_rows_t *p, const int8_t *image, int32_t y, int16_t *ring)
{
    const nn_lines_t *const line = &p->line;
    int16_t *const row = ring + y % p->kernel_h * 2 * line->pairs;
    const int32_t from = y - p->pad_h;
    const int32_t inside = from >= 0 && from < p->height;
    for (int32_t x = 0; x < 2 * line->pairs; x++) {
        row[x] = (int8_t)(line->pad_word & 0xFF);
    }
    for (int32_t x = 0; inside && x < line->inputs; x++) {
        row[line->pad + x] = image[from * line->input_line + x * line->input_step];
    }
}

static int8_t nn_row_value(const nn_depthwise_rows_t *p, const int16_t *ring, int32_t y, int32_t x,
                           int32_t c)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < p->kernel_h * p->line.kernel; i++) {
        const int32_t ky = i / p->line.kernel;
        const int32_t kx = i % p->line.kernel;
        const int32_t row = (y * p->stride_h + ky) % p->kernel_h;
        sum +=
            ring[row * 2 * p->line.pairs + x + kx] * nn_row_tap(&p->line, p->kernel_h, ky, kx, c);
    }
    return nn_line_output(&p->line, c, sum);
}

static void nn_rows_of_channel(const nn_depthwise_rows_t *p, const int8_t *image, int8_t *output,
                               int32_t c, int16_t *ring)
{
    int32_t kept = 0;
    for (int32_t y = 0; y < p->line.lines; y++) {
        for (; kept < y * p->stride_h + p->kernel_h; kept++) {
            nn_keep_row(p, image, kept, ring);
        }
        for (int32_t x = 0; x < p->line.outputs; x++) {
            output[y * p->line.output_line + x * p->line.output_step] =
                nn_row_value(p, ring, y, x, c);
        }
    }
}

void nn_depthwise_rows_s8(const nn_depthwise_rows_t *p, const int8_t *input, int8_t *output,
                          int8_t *scratch)
{
    for (int32_t n = 0; n < p->line.images; n++) {
        for (int32_t c = 0; c < p->line.channels; c++) {
            nn_rows_of_channel(p, input + c, output + c, c, (int16_t *)(void *)scratch);
        }
        input += p->line.input_image;
        output += p->line.output_image;
    }
}
