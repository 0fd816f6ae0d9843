/* void nn_depthwise_group_sign_s8(const nn_depthwise_packed_t *p,
 *                                 const nn_depthwise_group_t *group)
 *
 * nn_depthwise_group_s8 with the rounding of the sign, NN_SIGN; nn_packed.h describes the operands,
 * twin/nn_depthwise_group_sign_s8.c says the same in C. A unit takes 10 instructions more.
 *
 * Stack: 244 bytes. Rounding: double, in a short form that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define FUNCTION nn_depthwise_group_sign_s8
#define FUNCTION_WITH_OUTPUTS nn_depthwise_group_to_s8
#define BESIDE nn_depthwise_group_s8
#include "nn_depthwise_sign.inc"
