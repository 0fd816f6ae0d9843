/* Reset and exceptions of every RISC-V port, machine mode. No interrupt is ever enabled. */

    .section .vectors, "ax"
    .global board_reset
    .type board_reset, @function
board_reset:            /* QEMU starts at the first byte of CODE, others at the ELF file's entry */
    csrci mstatus, 8    /* MIE */
    la t0, exception
    csrw mtvec, t0
    la sp, __stack_top
    j board_start       /* does not return */
    .size board_reset, . - board_reset

    .balign 256         /* cores with vectored interrupts only take no address between */
    .type exception, @function
exception:              /* nothing is resumed, so nothing is saved */
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    mv a3, sp
    mv a4, ra
    la sp, __stack_top
    j board_fault_report /* does not return */
    .size exception, . - exception
