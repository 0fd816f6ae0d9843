/* memcpy and memset of every Cortex-M port: a word at a time, as the core may access words at any
 * address; the library's are ten times as long. */

    .syntax unified
    .thumb

    .section .text.memcpy, "ax"
    .global memcpy
    .type memcpy, %function
memcpy:
    mov r3, r0
    subs r2, #4
    blo 2f
1:  ldr r12, [r1], #4
    subs r2, #4
    str r12, [r3], #4
    bhs 1b
2:  adds r2, #4
    beq 4f
3:  ldrb r12, [r1], #1
    subs r2, #1
    strb r12, [r3], #1
    bne 3b
4:  bx lr
    .size memcpy, . - memcpy

    .section .text.memset, "ax"
    .global memset
    .type memset, %function
memset:
    uxtb r1, r1
    orr r1, r1, r1, lsl #8
    orr r1, r1, r1, lsl #16
    mov r3, r0
    subs r2, #4
    blo 2f
1:  subs r2, #4
    str r1, [r3], #4
    bhs 1b
2:  adds r2, #4
    beq 4f
3:  subs r2, #1
    strb r1, [r3], #1
    bne 3b
4:  bx lr
    .size memset, . - memset
