/* Readable text about a fatal exception, on a channel that needs no initialised state. */
#ifndef BOARD_FAULT_H
#define BOARD_FAULT_H

#include <stdint.h>

/* Write `text` with board_fault_text, in it for each # the next value as eight hexadecimal digits.
 */
void board_fault_values(const char *text, const uint32_t *values);

/* Implemented by the port: write a zero-terminated text at once. */
void board_fault_text(const char *text);

/* Implemented by the port: end the emulation with `status`, or stand still on a chip. */
_Noreturn void board_fault_stop(uint32_t status);

#endif
