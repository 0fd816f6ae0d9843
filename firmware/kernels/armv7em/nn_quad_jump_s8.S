/* nn_quad_jump_s8: the part of nn_quad_s8 that makes outputs of sums with a jump in the constant,
 * NN_JUMP.
 *
 * No function of C: nn_quad_s8 jumps here, with what its comment says in registers, where
 * quad->outputs names it. A comes as 256 * A + f; 14 instructions more than nn_quad_s8 itself has.
 *
 * Stack: none. Rounding: double, in a short form that quantize/proofs.py has proven.
 */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .section .text.nn_quad_jump_s8, "ax", %progbits
    .balign 4
    .global nn_quad_jump_s8
    .thumb_func
    .type nn_quad_jump_s8, %function
nn_quad_jump_s8:
    .reloc ., R_ARM_NONE, nn_quad_s8 /* in whose file nn_quad_store_s8 is */
    vmov s16, r12
    vmov r3, s23
    ubfx r1, lr, #8, #10
    add r1, r3, r1, lsl #3 /* constant of A, */
    add r3, r3, lr, lsr #19 /* of B */
    uxtb lr, lr           /* f of B */
    .irp n, 4, 5, 6, 7
    bic r12, r1, r\n, lsr #24
    smmla r\n, r\n, r0, r12
    ssat r\n, #8, r\n, asr #14
    .endr
    .irp n, 8, 9, 10, 11
    add r\n, lr, r\n, lsl #8
    bic r12, r3, r\n, lsr #24
    smmla r\n, r\n, r2, r12
    ssat r\n, #8, r\n, asr #14
    .endr
    vmov r12, s16
    b.w nn_quad_store_s8
    .size nn_quad_jump_s8, . - nn_quad_jump_s8
