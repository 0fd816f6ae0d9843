/* void nn_winograd_s8(const nn_quad_t *quad, const uint32_t *x, int8_t *output, int32_t stride)
 *
 * Four tiles of two pixels times all output channels, two channels (A, B) at a time; nn_rows.h
 * describes the operands, twin/nn_winograd_s8.c says the same in C.
 *
 * The trick: a step does 24 MACs in 8 SMLAD, and what phases 0 and 1 have gathered serves both
 * pixels: with S and E after these, the even pixel goes on from E, the odd one from 2 * S - E.
 *
 *   a step of a phase, 2 inputs x 2 channels x 4 tiles: 3 LDRD, 8 SMLAD = 11
 *   each 6 steps: 5 for pointer and loop; each pair and eight pixels: 125 (163 with the sign form),
 *   which are 0.57 per MAC for 3 x 3 windows of 16 channels and 0.51 for 64.
 *
 * r4-r7 gather A, r8-r11 gather B, r0 and r1 hold inputs, r2 and r3 weights; r12 points to the
 * stream, lr to the inputs. The frame holds S, then the odd pixels' sums.
 *
 * Stack: 128 bytes. Rounding: double, in the short forms that quantize/proofs.py has proven.
 */
#include "layout/nn_offsets.h"

    .syntax unified
    .cpu cortex-m4
    .fpu fpv4-sp-d16
    .thumb

#define STEPS 6       /* at a time */
#define STEP_BYTES 64 /* of the inputs, from a step to the next */
#define PHASE 16      /* and from a phase to the next */

#define SAVED s16      /* the stream */
#define FORM s17
#define PHASE_END s18  /* of the inputs */
#define AFTER s19      /* where a phase leads to */
#define INPUTS s20
#define INPUTS_END s21 /* of phase 0 */
#define OUTPUT s22
#define STRIDE s23
#define DELTA s29      /* from these outputs to the next: another pixel, or another pair */
#define OUTPUT_END s30

    .section .text.nn_winograd_s8, "ax", %progbits
    .balign 4
    .global nn_winograd_s8
    .thumb_func
    .type nn_winograd_s8, %function
nn_winograd_s8:
    push {r4-r11, lr}
    vpush {s16-s30}
    sub sp, sp, #32
    ldr.w r12, [r0, #NN_QUAD_AT_STREAM]
    ldrh r5, [r0, #NN_QUAD_AT_COUNT] /* channels */
    ldrh r6, [r0, #NN_QUAD_AT_STEPS]
    ldrh r7, [r0, #NN_QUAD_AT_FORM]
    add r6, r1, r6, lsl #6
    vmov INPUTS, INPUTS_END, r1, r6
    vmov OUTPUT, STRIDE, r2, r3
    add r2, r2, r5
    vmov DELTA, OUTPUT_END, r5, r2
    vmov FORM, r7

.Lpair:
    ldmia.w r12!, {r4, r8} /* first values */
    vldmia r12!, {s24-s28} /* multiplier and constant of A, of B; shifts */
    mov r5, r4
    mov r6, r4
    mov r7, r4
    mov r9, r8
    mov r10, r8
    mov r11, r8
    vmov lr, r0, INPUTS, INPUTS_END
    adr r1, .Lsecond
    adds r1, r1, #1
    vmov PHASE_END, AFTER, r0, r1

    .balign 4
.Lsteps:
    .irp n, 0, 1, 2, 3, 4, 5
    ldrd r2, r3, [r12], #8
    ldrd r0, r1, [lr, #STEP_BYTES * \n]
    smlad r4, r2, r0, r4
    smlad r8, r3, r0, r8
    smlad r5, r2, r1, r5
    smlad r9, r3, r1, r9
    ldrd r0, r1, [lr, #STEP_BYTES * \n + 8]
    smlad r6, r2, r0, r6
    smlad r10, r3, r0, r10
    smlad r7, r2, r1, r7
    smlad r11, r3, r1, r11
    .endr
    add lr, lr, #STEP_BYTES * STEPS
    vmov r0, r1, PHASE_END, AFTER
    cmp lr, r0
    bne.w .Lsteps
    bx r1

    .balign 4
.Lsecond:                  /* phase 1 */
    stm sp, {r4-r11}
    vmov lr, INPUTS
    add lr, lr, #PHASE
    adds r0, r0, #PHASE
    adr r1, .Leven
    adds r1, r1, #1
    vmov PHASE_END, AFTER, r0, r1
    b .Lsteps

    .balign 4
.Leven:                    /* phase 2 */
    mov lr, sp
    ldm lr, {r0-r3}
    rsb r0, r4, r0, lsl #1
    rsb r1, r5, r1, lsl #1
    rsb r2, r6, r2, lsl #1
    rsb r3, r7, r3, lsl #1
    stmia.w lr!, {r0-r3}
    ldm lr, {r0-r3}
    rsb r0, r8, r0, lsl #1
    rsb r1, r9, r1, lsl #1
    rsb r2, r10, r2, lsl #1
    rsb r3, r11, r3, lsl #1
    stm lr, {r0-r3}
    vmov lr, r0, INPUTS, INPUTS_END
    add lr, lr, #2 * PHASE
    adds r0, r0, #2 * PHASE
    adr r1, .Loutputs
    adds r1, r1, #1
    vmov PHASE_END, AFTER, r0, r1
    b .Lsteps

.Lodd:                     /* phase 3 */
    ldm sp, {r4-r11}
    vmov lr, r0, INPUTS, INPUTS_END
    add lr, lr, #3 * PHASE
    adds r0, r0, #3 * PHASE
    vmov PHASE_END, r0
    b .Lsteps

    .balign 4
.Loutputs:
    vmov r0, r1, s24, s25
    vmov r2, r3, s26, s27
    vmov lr, FORM
    cmp lr, #NN_FORM_SIGN
    beq .Lsign
    .irp n, 4, 5, 6, 7
    smmla r\n, r\n, r0, r1
    ssat r\n, #8, r\n, asr #12
    .endr
    .irp n, 8, 9, 10, 11
    smmla r\n, r\n, r2, r3
    ssat r\n, #8, r\n, asr #12
    .endr
.Lstore:
    vmov r0, r1, OUTPUT, STRIDE
    bfi r4, r8, #8, #8     /* channels A and B lie side by side */
    bfi r5, r9, #8, #8
    bfi r6, r10, #8, #8
    bfi r7, r11, #8, #8
    add r2, r0, r1
    strh r4, [r0]
    strh r5, [r2]
    strh r6, [r2, r1]
    strh.w r7, [r2, r1, lsl #1]
    vmov r2, r3, DELTA, OUTPUT_END
    add r0, r0, r2
    vmov OUTPUT, r0
    cmp r2, #0
    rsb r2, r2, #2
    vmov DELTA, r2
    bgt .Lodd
    cmp r0, r3
    bne .Lpair

    add sp, sp, #32
    vpop {s16-s30}
    pop {r4-r11, pc}

.Lsign:
    vmov SAVED, r12
    vmov lr, s28
    .irp n, 4, 5, 6, 7
    add r12, r1, r\n, asr #31
    smmlar r\n, r\n, r0, r12
    asr.w r\n, r\n, lr
    ssat r\n, #8, r\n
    .endr
    lsr lr, lr, #8
    .irp n, 8, 9, 10, 11
    add r12, r3, r\n, asr #31
    smmlar r\n, r\n, r2, r12
    asr.w r\n, r\n, lr
    ssat r\n, #8, r\n
    .endr
    vmov r12, SAVED
    b .Lstore
    .size nn_winograd_s8, . - nn_winograd_s8
