/* Readable text about a fatal exception, on a channel that needs no initialised state. */
#ifndef BOARD_FAULT_H
#define BOARD_FAULT_H

#include <stdint.h>

/* Write " name=0x0123abcd" with board_fault_text. */
void board_fault_value(const char *name, uint32_t value);

/* Implemented by the port: write a zero-terminated text at once. */
void board_fault_text(const char *text);

/* Implemented by the port: end the emulation with `status`, or stand still on a chip. */
_Noreturn void board_fault_stop(uint32_t status);

#endif
