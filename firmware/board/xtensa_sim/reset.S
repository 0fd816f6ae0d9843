/* The core starts here, far from the program. */

    .section .reset, "ax"
    .global board_power_on
board_power_on:
    j over
    .align 4
    .literal_position
over:
    movi a2, board_reset
    jx a2
