/* void nn_winograd_tile_s8(uint32_t *x, const int8_t *const *pixels, int32_t words)
 *
 * The inputs of one tile for the four phases of nn_rows.h: 31 instructions for four channels of
 * four pixels. r1, r3-r5 point to the pixels, r6-r9 hold their bytes, r10-r12 and lr them widened.
 * Stack: 36 bytes. Rounding: none.
 */
    .syntax unified
    .cpu cortex-m4
    .thumb

    .macro step at
    ssub16 r10, r10, r12
    ssub16 lr, lr, r11
    str r10, [r0, #\at + 32] /* d0 - d2 */
    str lr, [r0, #\at + 48]  /* d3 - d1 */
    sadd16 r10, r11, r12
    ssub16 r12, r12, r11
    str r10, [r0, #\at]      /* d1 + d2 */
    str r12, [r0, #\at + 16] /* d2 - d1 */
    .endm

    .section .text.nn_winograd_tile_s8, "ax", %progbits
    .balign 4
    .global nn_winograd_tile_s8
    .thumb_func
    .type nn_winograd_tile_s8, %function
nn_winograd_tile_s8:
    push {r4-r11, lr}
    ldm r1, {r1, r3-r5}
.Lword:
    ldr r6, [r1], #4
    ldr r7, [r3], #4
    ldr r8, [r4], #4
    ldr r9, [r5], #4
    sxtb16 r10, r6
    sxtb16 r11, r7
    sxtb16 r12, r8
    sxtb16 lr, r9
    step 0
    sxtb16 r10, r6, ror #8
    sxtb16 r11, r7, ror #8
    sxtb16 r12, r8, ror #8
    sxtb16 lr, r9, ror #8
    step 64
    adds r0, r0, #128
    subs r2, r2, #1
    bne .Lword
    pop {r4-r11, pc}
    .size nn_winograd_tile_s8, . - nn_winograd_tile_s8
