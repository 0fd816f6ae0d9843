/* nn_conv_2d_points_s8 on weights that it first copies behind its scratch: for layers that read
 * them again and again, where words of the arena come sooner than words of the flash. Rounding:
 * double, in a short form.
 */
#include "nn_quad.h"

void nn_conv_2d_points_in_ram_s8(const nn_points_t *p, const int8_t *input, int8_t *output,
                                 int8_t *scratch)
{
    nn_points_t own = *p;
    const nn_quad_t *const quad = &p->single.quad;
    own.single.quad.stream = nn_stream_in_ram(quad, scratch, 4 * NN_QUAD * quad->steps);
    nn_conv_2d_points_s8(&own, input, output, scratch);
}
