/* void nn_dense_halves_s8(const nn_dense_t *p, const void *x, int8_t *output, int32_t groups)
 *
 * As nn_dense_s8 with 16-bit inputs, but the weights are 16-bit too: twice the flash, no SXTB16.
 * Four steps (of two inputs each): 1 LDM for the inputs, 4 for the weights, 16 SMLAD = 21 for 32
 * MACs, 0.66 each; each 16 steps 3 more; each group about 45. twin/nn_dense_halves_s8.c says the
 * same in C.
 *
 * Stack: 72 bytes. Rounding: double, in the short form NN_SIGN.
 */
    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define FOUR_STEPS_BYTES 84 /* of .Lsteps: the entry address depends on it */

    .macro step x
    ldmia.w r12!, {r8-r11}
    smlad r4, r8, \x, r4
    smlad r5, r9, \x, r5
    smlad r6, r10, \x, r6
    smlad r7, r11, \x, r7
    .endm

    .macro output sum
    ldrd r0, r1, [r8], #8
    smmlar r0, \sum, r0, r1
    add r0, r0, \sum, asr #31
    asr.w r0, r0, r2
    lsr r2, r2, #8
    ssat r0, #8, r0
    strb r0, [r3], #1
    .endm

    .section .text.nn_dense_halves_s8, "ax", %progbits
    .balign 4
    .global nn_dense_halves_s8
    .thumb_func
    .type nn_dense_halves_s8, %function
nn_dense_halves_s8:
    push {r4-r11, lr}
    sub sp, sp, #4
    vpush {s16-s23}
    ldm r0, {r4-r7}       /* stream, requant, bytes of a requant, steps */
    vmov s16, s17, r5, r6
    vmov s18, r1
    vmov s20, r2
    add r9, r2, r3, lsl #2
    vmov s21, r9          /* end of the outputs */
    rsb r10, r7, #0
    ubfx r10, r10, #2, #2 /* quarters to skip in the first, partial block */
    mov r12, r4
    lsl r7, r7, #2        /* bytes of the inputs */
    movs r8, #FOUR_STEPS_BYTES
    adr r9, .Lsteps
    mla r9, r10, r8, r9
    orr r9, r9, #1
    vmov s22, r9
    add r7, r7, r1
    vmov s19, r7          /* end of the inputs */

.Lgroup:
    vmov lr, s18
    ldmia.w r12!, {r4-r7} /* first values of A, B, C, D */
    vmov r0, s22
    bx r0

    .balign 4
.Lsteps:
    .rept 4
    ldmia.w lr!, {r0-r3}
    step r0
    step r1
    step r2
    step r3
    .endr
    .if (. - .Lsteps) - 4 * FOUR_STEPS_BYTES
    .error "four steps have another size"
    .endif
    vmov r8, s19
    cmp lr, r8
    bne.w .Lsteps

.Loutputs:
    vmov r8, r9, s16, s17
    add r9, r9, r8
    vmov s16, r9
    vmov r3, s20
    lsl r4, r4, #1
    lsl r5, r5, #1
    lsl r6, r6, #1
    lsl r7, r7, #1
    ldr r2, [r8], #4      /* four shifts */
    output r4
    output r5
    output r6
    output r7
    vmov s20, r3
    vmov r0, s21
    cmp r3, r0
    bne.w .Lgroup
    vpop {s16-s23}
    add sp, sp, #4
    pop {r4-r11, pc}
    .size nn_dense_halves_s8, . - nn_dense_halves_s8
