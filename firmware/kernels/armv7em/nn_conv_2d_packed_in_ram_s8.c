/* nn_conv_2d_packed_s8 on weights that it first copies behind its scratch: for layers that read
 * them again and again, where words of the arena come sooner than words of the flash. Rounding:
 * double, in a short form.
 */
#include "nn_packed.h"

void nn_conv_2d_packed_in_ram_s8(const nn_conv_packed_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch)
{
    nn_conv_packed_t own = *p;
    const int32_t few = p->size.out_height * p->size.out_width < NN_QUAD;
    const int32_t rows = p->rows > 0 ? p->rows * p->row_bytes + 4 : 0;
    own.quad.stream =
        nn_stream_in_ram(&p->quad, scratch, (few ? 4 : 4 * NN_QUAD) * p->quad.steps + rows);
    nn_conv_2d_packed_s8(&own, input, output, scratch);
}
