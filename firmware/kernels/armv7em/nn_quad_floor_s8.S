/* nn_quad_floor_s8: the part of nn_quad_s8 that makes outputs of sums with a shift for each channel,
 * NN_FLOOR.
 *
 * No function of C: nn_quad_s8 jumps here, with what its comment says in registers, where
 * quad->outputs names it. 9 instructions more than nn_quad_s8 itself has.
 *
 * Stack: none. Rounding: double, in a short form that quantize/proofs.py has proven.
 */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

    .section .text.nn_quad_floor_s8, "ax", %progbits
    .balign 4
    .global nn_quad_floor_s8
    .thumb_func
    .type nn_quad_floor_s8, %function
nn_quad_floor_s8:
    .reloc ., R_ARM_NONE, nn_quad_s8 /* in whose file nn_quad_store_s8 is */
    ldmia.w r12!, {r1, r3} /* constants */
    .irp n, 4, 5, 6, 7
    smmla r\n, r\n, r0, r1
    asr.w r\n, r\n, lr
    ssat r\n, #8, r\n
    .endr
    lsr lr, lr, #8
    .irp n, 8, 9, 10, 11
    lsl r\n, r\n, #8
    smmla r\n, r\n, r2, r3
    asr.w r\n, r\n, lr
    ssat r\n, #8, r\n
    .endr
    b.w nn_quad_store_s8
    .size nn_quad_floor_s8, . - nn_quad_floor_s8
