/* Reset and faults of every Cortex-M port. Interrupts are off until a port enables one, such as the
 * microphone's of the nRF52840. In assembly language, because both work on the stack itself: the
 * start paints it, a fault lays out its report there. */

    .syntax unified
    .thumb

#define SCB_VTOR 0x08 /* Armv7-M Architecture Reference Manual (DDI 0403E), B3.2.2 */
#define SCB_CCR 0x14
#define SCB_CFSR 0x28
#define SCB_MMFAR 0x34
#define SCB_CPACR 0x88
#define CPACR_FPU (15 << 20) /* full access to coprocessors 10 and 11 */
#define CCR_RESET 0x200      /* the stack is aligned to 8 bytes at an exception */
#define CCR_DIV_0_TRP 0x10   /* a division by zero is a fault, as on Xtensa */
#define STACK_PAINT 0xC3C3C3C3 /* common/stack.c */
#define REPORT_BYTES 1024      /* of stack are enough for a fault's report */
#define CFSR_NOT_STACKED 0x1010 /* MSTKERR, STKERR */
#define EXC_RETURN_BASIC 0x10   /* without floating-point registers */
#define FRAME_BYTES 32
#define FLOAT_BYTES 72
#define XPSR_ALIGNED 9 /* bit: one more word was left free for the alignment */

/* Of a report's head, see link_fault_t */
#define BUILD_ID_BYTES 20
#define HEAD (40 + (21 << 16)) /* EM_ARM, 21 registers */
#define LOST 1
#define STATUS 99 /* an emulator ends with it */

/* As many as are in use: with interrupts off, and none of the faults of their own enabled, whatever
 * else happens becomes a HardFault. */
    .section .vectors, "a"
vectors:
    .word __stack_top
    .word board_reset
    .word board_fault /* NMI */
    .word board_fault /* HardFault */

/* A boot loader may jump here with its own stack and with interrupts enabled. */
    .section .text.board_start, "ax"
    .global board_reset
    .type board_reset, %function
    .type board_start, %function
board_reset:
board_start:
    cpsid i
    ldr r0, =reg_scb
    ldr r1, =vectors
    str r1, [r0, #SCB_VTOR]
    mov r1, #CCR_RESET | CCR_DIV_0_TRP
    str r1, [r0, #SCB_CCR]
    mov r1, #CPACR_FPU
    str r1, [r0, #SCB_CPACR]
    dsb
    isb
    ldr r0, =__stack_limit
    ldr r1, =__stack_top
    mov sp, r1
    mov r2, #STACK_PAINT
1:  stmia r0!, {r2}
    cmp r0, r1
    blo 1b
    ldr r1, =__data_end /* .data begins where the stack ends, .bss follows */
    ldr r3, =__data_load
    b 3f
2:  ldmia r3!, {r2}
    stmia r0!, {r2}
3:  cmp r0, r1
    blo 2b
    ldr r1, =__bss_end
    movs r2, #0
    b 5f
4:  stmia r0!, {r2}
5:  cmp r0, r1
    blo 4b
    bl main             /* does not return */
    .size board_start, . - board_start
    .ltorg

/* What a fault reports is laid out as a board_fault_t, from its end down. When the stack pointer has
 * left the stack, or has no room for the report, that runs on the top of the stack; what is lower
 * down stays intact. The manual's B1.5.6 says what an exception leaves at the stack pointer: r0 to
 * r3, r12, lr, pc and xpsr, and room for floating-point registers. */
    .section .text.board_fault, "ax"
    .type board_fault, %function
board_fault:
    mov r0, sp
    ldr r2, =__stack_limit
    ldr r3, =__stack_top
    add r1, r2, #REPORT_BYTES
    cmp r0, r1
    blo 1f
    cmp r0, r3
    bls 2f
1:  mov sp, r3
2:  movs r1, #0
    push {r1}           /* r12 */
    push {r4-r11}
    movs r4, #0         /* pc, lr and xpsr, where they were lost */
    movs r5, #0
    mov r6, r0          /* sp */
    movs r7, #0
    ldr r1, =reg_scb + SCB_CFSR
    ldrd r8, r9, [r1]   /* CFSR, HFSR */
    ldrd r10, r11, [r1, #SCB_MMFAR - SCB_CFSR] /* and BFAR */
    mov r12, r0         /* from here on the stack is shown */
    cmp r0, r2
    it lo
    movlo r12, r2
    blo 3f
    add r1, r0, #FRAME_BYTES
    cmp r1, r3
    bhi 3f
    movw r1, #CFSR_NOT_STACKED
    tst r8, r1
    bne 3f
    ldr r1, [r0, #16]
    str r1, [sp, #32]   /* r12 */
    ldr r4, [r0, #24]
    ldr r5, [r0, #20]
    ldr r7, [r0, #28]
    adds r6, #FRAME_BYTES
    tst lr, #EXC_RETURN_BASIC
    it eq
    addeq r6, #FLOAT_BYTES
    lsls r1, r7, #31 - XPSR_ALIGNED
    it mi
    addmi r6, #4
    mov r12, r6
    ldm r0, {r0-r3}
    push {r0-r3}
    ldr r0, =HEAD
    b 4f
3:  push {r4, r5}       /* zeros for r0 to r3 */
    push {r4, r5}
    ldr r0, =HEAD + (LOST << 24)
4:  push {r4-r11}
    mov r1, r12
    push {r0, r1}
    sub sp, #BUILD_ID_BYTES
    mov r0, sp
    movs r1, #STATUS
    b board_fault_report /* does not return */
    .size board_fault, . - board_fault
    .ltorg

    .section .rodata.board_fault_words, "a"
    .global board_fault_words
board_fault_words:
    .asciz "\r\nfault: pc=0x# lr=0x# sp=0x# xpsr=0x# cfsr=0x# hfsr=0x# mmfar=0x# bfar=0x#"
