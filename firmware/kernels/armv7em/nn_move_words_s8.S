/* void nn_move_words_s8(uint32_t *to, const uint32_t *from, const uint32_t *end)
 *
 * Eight words in four instructions. Stack: 32 bytes. Rounding: none.
 */
    .syntax unified
    .cpu cortex-m4
    .thumb

    .section .text.nn_move_words_s8, "ax", %progbits
    .balign 4
    .global nn_move_words_s8
    .thumb_func
    .type nn_move_words_s8, %function
nn_move_words_s8:
    push {r4-r10, lr}
.Lwords:
    ldmia r1!, {r3-r10}
    cmp r1, r2
    stmia r0!, {r3-r10}
    bcc .Lwords
    pop {r4-r10, pc}
    .size nn_move_words_s8, . - nn_move_words_s8
