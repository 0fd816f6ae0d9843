/* nn_conv_2d_fours_s8 on weights that it first copies behind its scratch: for layers that read them
 * again and again, where words of the arena come sooner than words of the flash.
 * Rounding: double, in a short form.
 */
#include "nn_fours.h"

void nn_conv_2d_fours_in_ram_s8(const nn_fours_t *p, const int8_t *input, int8_t *output,
                                int8_t *scratch)
{
    nn_fours_t own = *p;
    own.quad.stream = nn_stream_in_ram(&p->quad, scratch, p->x_bytes + p->rows_bytes);
    nn_conv_2d_fours_s8(&own, input, output, scratch);
}
