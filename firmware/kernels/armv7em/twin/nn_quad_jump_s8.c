/* In assembly language a part of nn_quad_s8, whose twin does all of it by quad->form. Rounding:
 * none.
 */
#include "nn_packed.h"

void nn_quad_jump_s8(void)
{
}
