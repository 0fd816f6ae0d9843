/* memcpy and memset of every Cortex-M port: a word at a time from the end down, as the core may
 * access words at any address, then the bytes that are left in front; the library's are ten times as
 * long. */

    .syntax unified
    .thumb

    .section .text.memcpy, "ax"
    .global memcpy
    .type memcpy, %function
memcpy:
    subs r2, #4
    blo 2f
1:  ldr r3, [r1, r2]
    str r3, [r0, r2]
    subs r2, #4
    bhs 1b
2:  adds r2, #3         /* the last of the bytes that are left */
    bmi 4f
3:  ldrb r3, [r1, r2]
    strb r3, [r0, r2]
    subs r2, #1
    bpl 3b
4:  bx lr
    .size memcpy, . - memcpy

    .section .text.memset, "ax"
    .global memset
    .type memset, %function
memset:
    uxtb r1, r1
    orr r1, r1, r1, lsl #8
    orr r1, r1, r1, lsl #16
    subs r2, #4
    blo 2f
1:  str r1, [r0, r2]
    subs r2, #4
    bhs 1b
2:  adds r2, #3
    bmi 4f
3:  strb r1, [r0, r2]
    subs r2, #1
    bpl 3b
4:  bx lr
    .size memset, . - memset
