/* The kernels in the windowed ABI, called from firmware in the call0 ABI: reset, vectors, the call,
 * and what a real program adds to it: a deep chain of windowed calls, so that windows overflow and
 * underflow around and inside a kernel, and a timer interrupt whose handler saves registers and
 * spills windows in the order of ESP-IDF's, then uses all registers itself.
 *
 * The assembler is that of a core without windows, so their instructions are bytes. Built with
 * __XTENSA_WINDOWED_ABI__ (open_frame is ENTRY). */
#include "xtensa/nn_xtensa.inc"

    .equ number_a1, 1
    .equ LBEG, 0
    .equ LEND, 1
    .equ LCOUNT, 2
    .equ ACCLO, 16
    .equ ACCHI, 17
    .equ M, 32 /* M0 to M3 */
    .equ WINDOWBASE, 72
    .equ WINDOWSTART, 73
    .equ OVERFLOWS, 244 /* special registers that the core leaves to programs: MISC0, MISC1 */
    .equ UNDERFLOWS, 245
    .equ PS_MASKED, 15
    .equ PS_WOE, 1 << 18
    .equ LEVEL_1_INTERRUPT, 4 /* EXCCAUSE */
    .equ TIMER, 1 << 6        /* the interrupt of CCOMPARE0 */

    .macro rotate windows
    .byte \windows << 4, 0x80, 0x40
    .endm
    .macro s32e register, base, place
    .byte number_\register << 4, (64 + \place) / 4 << 4 | number_\base, 0x49
    .endm
    .macro l32e register, base, place
    .byte number_\register << 4, (64 + \place) / 4 << 4 | number_\base, 0x09
    .endm
    .macro callx size, register
    .byte 0xC0 | \size / 4 << 4, number_\register, 0
    .endm
    .macro read register, special
    .byte number_\register << 4, \special, 0x03
    .endm
    .macro write register, special
    .byte number_\register << 4, \special, 0x13
    .endm

    /* --- window exceptions ------------------------------------------------------------------ */

    .macro count special /* a0 holds nothing now */
    read a0, \special
    addi a0, a0, 1
    write a0, \special
    .endm
    /* a0 to a3 of a window, below the stack of the function that it called, whose a1 is \sp here */
    .macro move_four how, sp
    \how a0, \sp, -16
    \how a1, \sp, -12
    \how a2, \sp, -8
    \how a3, \sp, -4
    .endm
    .macro save_more sp, place, registers:vararg /* at the top of its own frame */
    s32e a0, \sp, -16
    l32e a0, a1, -12
    s32e a1, \sp, -12
    s32e a2, \sp, -8
    s32e a3, \sp, -4
    .equ at, \place
    .irp register, \registers
    s32e \register, a0, at
    .equ at, at + 4
    .endr
    count OVERFLOWS
    .byte 0, 0x34, 0 /* rfwo */
    .endm
    .macro load_more sp, base, place, registers:vararg
    count UNDERFLOWS
    move_four l32e, \sp
    l32e \base, a1, -12
    .equ at, \place
    .irp register, \registers, \base
    l32e \register, \base, at
    .equ at, at + 4
    .endr
    .byte 0, 0x35, 0 /* rfwu */
    .endm

    .section .windows, "ax" /* VECBASE */
    .global windows
windows:
    move_four s32e, a5
    count OVERFLOWS
    .byte 0, 0x34, 0
    .org 0x40
    count UNDERFLOWS
    move_four l32e, a5
    .byte 0, 0x35, 0
    .org 0x80
    save_more a9, -32, a4, a5, a6, a7
    .org 0xC0
    load_more a9, a7, -32, a4, a5, a6
    .org 0x100
    save_more a13, -48, a4, a5, a6, a7, a8, a9, a10, a11
    .org 0x140
    load_more a13, a11, -48, a4, a5, a6, a7, a8, a9, a10

    /* --- reset and other exceptions ----------------------------------------------------------- */

    .section .vectors, "ax" /* VECBASE + 0x300 */
    j exception
    .org 0x40
    j exception
    .org 0xC0
    j fault

    .text
    .align 4
    .literal_position
    .global board_reset
board_reset:
    movi a0, PS_MASKED
    wsr a0, ps
    rsync
    movi a0, 0
    wsr a0, intenable
    write a0, WINDOWBASE
    rsync
    movi a0, 1
    write a0, WINDOWSTART
    rsync
    movi a2, __vectors
    wsr a2, vecbase
    isync
    movi a1, __stack_top
    movi a2, board_start
    callx0 a2

    .align 4
    .literal_position
fault:
    rsr a2, exccause
    rsr a3, epc1
    rsr a4, excvaddr
    mov a5, a1
    movi a6, PS_MASKED
    wsr a6, ps
    rsync
    movi a1, __stack_top
    movi a6, board_fault_report
    callx0 a6

    /* A frame of the handler, below the 16 bytes that belong to the window exceptions. */
    .equ AT_SAR, 64
    .equ AT_LOOP, 68
    .equ AT_EPC, 80
    .equ AT_PS, 84
    .equ AT_CALL, 88
    .equ AT_ACCHI, 4 /* in the place of a1 */
    .equ AT_ACCLO, 92
    .equ AT_M, 96
    .equ FRAME, 128
    .macro all_but_a0_a1 how
    .irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    \how a\n, a1, 4 * \n
    .endr
    .endm
    .macro increment symbol
    movi a2, \symbol
    l32i a3, a2, 0
    addi a3, a3, 1
    s32i a3, a2, 0
    .endm

    .align 4
    .literal_position
exception:
    wsr a0, excsave1
    rsr a0, exccause
    addi a0, a0, -LEVEL_1_INTERRUPT
    bnez a0, fault
    addi a1, a1, -FRAME
    all_but_a0_a1 s32i
    rsr a0, excsave1
    s32i a0, a1, 0
    rsr a0, sar
    s32i a0, a1, AT_SAR
    .irp n, LBEG, LEND, LCOUNT
    read a0, \n
    s32i a0, a1, AT_LOOP + 4 * \n
    .endr
    beqz a0, .Loutside /* LCOUNT: only kernels have loops of this kind */
    increment interrupts_in_loops
    movi a0, 0
    write a0, LCOUNT
.Loutside:
    read a0, ACCLO /* ESP-IDF saves MAC16's registers too, before the handler multiplies */
    s32i a0, a1, AT_ACCLO
    read a0, ACCHI
    s32i a0, a1, AT_ACCHI
    .irp n, 0, 1, 2, 3
    read a0, M + \n
    s32i a0, a1, AT_M + 4 * \n
    write a1, M + \n
    .endr
    write a1, ACCLO
    write a1, ACCHI
    rsr a0, epc1
    s32i a0, a1, AT_EPC
    rsr a0, ps
    s32i a0, a1, AT_PS
    increment interrupts

    /* What lies outside this window, to the stack: a touch of registers that others still hold
     * saves those. a4 and up are not to be changed before. */
    movi a0, PS_WOE | PS_MASKED
    wsr a0, ps
    rsync
    addi a1, a1, FRAME
    and a12, a12, a12
    rotate 3
    and a12, a12, a12
    rotate 3
    and a4, a4, a4
    rotate 2
    addi a1, a1, -FRAME

    movi a2, chain_call
    l32i a3, a2, 0
    s32i a3, a1, AT_CALL
    movi a3, 0
    s32i a3, a2, 0
    movi a6, 9
    movi a4, chain_8
    callx 4, a4
    movi a2, chain_call
    l32i a3, a1, AT_CALL
    s32i a3, a2, 0

    l32i a0, a1, AT_PS /* PS.EXCM is set again */
    wsr a0, ps
    rsync
    l32i a0, a1, AT_EPC
    wsr a0, epc1
    .irp n, LBEG, LEND, LCOUNT
    l32i a0, a1, AT_LOOP + 4 * \n
    write a0, \n
    .endr
    l32i a0, a1, AT_ACCLO
    write a0, ACCLO
    l32i a0, a1, AT_ACCHI
    write a0, ACCHI
    .irp n, 0, 1, 2, 3
    l32i a0, a1, AT_M + 4 * \n
    write a0, M + \n
    .endr
    l32i a0, a1, AT_SAR
    wsr a0, sar
    movi a2, interrupts /* the next at another place */
    l32i a2, a2, 0
    slli a2, a2, 7
    extui a2, a2, 0, 12
    movi a3, timer_period
    l32i a3, a3, 0
    add a2, a2, a3
    rsr a3, ccount
    add a2, a2, a3
    wsr a2, ccompare0 /* ends this interrupt */
    esync
    all_but_a0_a1 l32i
    l32i a0, a1, 0
    addi a1, a1, FRAME
    rfe

    /* --- the call ----------------------------------------------------------------------------- */

    .macro wrap function
    .align 4
    .literal_position
    .global __wrap_\function
    .weak __real_\function /* not there in a build for the call0 ABI */
__wrap_\function:
    movi a8, __real_\function
    j windowed_call
    .endm
    wrap nn_trio_s8
    wrap nn_line_s8
    wrap nn_dense_bytes_s8
    wrap nn_dense_direct_s8
    wrap nn_linear_terms_s8
    wrap nn_kept_outputs_s8
    wrap nn_nine_s8
    wrap nn_offset_columns_s8
    wrap nn_pair_sums_s8
    wrap nn_plane_s8
    wrap nn_widen_columns_s8
    wrap nn_windows_s8

    .align 4
    .literal_position
windowed_call: /* the function in a8, up to four arguments; the window of call0 code is the oldest */
    addi a1, a1, -32
    s32i a0, a1, 0
    s32i a12, a1, 4
    s32i a13, a1, 8
    s32i a14, a1, 12
    s32i a15, a1, 16
    movi a9, chain_call
    s32i a8, a9, 0
    s32i a2, a9, 4
    s32i a3, a9, 8
    s32i a4, a9, 12
    s32i a5, a9, 16
    movi a9, chain_depth
    l32i a6, a9, 0
    read a9, WINDOWSTART
    s32i a9, a1, 20
    movi a9, PS_WOE
    wsr a9, ps
    rsync
    movi a4, chain_8
    callx 4, a4
    movi a9, PS_MASKED
    wsr a9, ps
    rsync
    read a8, WINDOWSTART
    l32i a9, a1, 20
    beq a8, a9, .Lsame_windows
    movi a8, chain_broken
    s32i a8, a8, 0
.Lsame_windows:
    l32i a0, a1, 0
    l32i a12, a1, 4
    l32i a13, a1, 8
    l32i a14, a1, 12
    l32i a15, a1, 16
    addi a1, a1, 32
    ret

    /* chain_4, chain_8 and chain_12 (a2: how many are to follow) call one another with CALL4, CALL8
     * and CALL12; the last one calls the kernel. Each finds the registers that it kept unchanged. */
    .macro chain size, next, kernel_size, x0, x1, x2, x3, counted, target, kept:vararg
    .align 4
    .literal_position
chain_\size:
    open_frame 64, 0
    slli a14, a2, 8
    .irp n, \kept
    addi a\n, a14, \n
    .endr
    beqz a2, .Llast_\size
    addi \counted, a2, -1
    movi \target, chain_\next
    callx \size, \target
    j .Lcompare_\size
.Llast_\size:
    movi a14, chain_call
    l32i a15, a14, 0
    beqz a15, .Lcompare_\size
    l32i \x0, a14, 4
    l32i \x1, a14, 8
    l32i \x2, a14, 12
    l32i \x3, a14, 16
    callx \kernel_size, a15
    slli a14, a2, 8
    .if \size > \kernel_size /* CALL12 leaves two registers for arguments; CALL8 keeps fewer */
    .irp n, 8, 9, 10, 11
    addi a\n, a14, \n
    .endr
    .endif
.Lcompare_\size:
    slli a14, a2, 8
    .irp n, \kept
    addi a15, a14, \n
    bne a15, a\n, .Lbroken_\size
    .endr
    close_frame 64, 0
    .align 4
.Lbroken_\size:
    movi a14, chain_broken
    s32i a14, a14, 0
    close_frame 64, 0
    .endm
    chain 4, 8, 4, a6, a7, a8, a9, a6, a7, 3
    chain 8, 12, 8, a10, a11, a12, a13, a10, a11, 3, 4, 5, 6, 7
    chain 12, 4, 8, a10, a11, a12, a13, a14, a15, 3, 4, 5, 6, 7, 8, 9, 10, 11

    .align 4
    .literal_position
    .global timer_start
timer_start: /* every a2 ticks; 0: never */
    movi a3, timer_period
    s32i a2, a3, 0
    rsr a3, ccount
    add a3, a3, a2
    wsr a3, ccompare0
    esync
    movi a3, 0
    beqz a2, .Lnever
    movi a3, TIMER
.Lnever:
    wsr a3, intenable
    rsync
    ret

    .align 4
    .global window_exceptions
window_exceptions: /* a2: where overflows and underflows since the last call go */
    movi a3, 0
    read a4, OVERFLOWS
    read a5, UNDERFLOWS
    write a3, OVERFLOWS
    write a3, UNDERFLOWS
    s32i a4, a2, 0
    s32i a5, a2, 4
    ret
