/* A fatal exception, told as text and as a LINK_FAULT frame, with code that needs no heap and no
 * state of the application. */
#ifndef BOARD_FAULT_H
#define BOARD_FAULT_H

#include <stdint.h>

/* What the processor's own code has saved. */
typedef struct {
    const char *text; /* names the first registers, with a # for each */
    const uint32_t *registers;
    const uint32_t *sp;
    uint32_t status;  /* an emulator ends with it */
    uint16_t machine; /* the number of its ELF files; it tells the order of the registers */
    uint8_t count;    /* of registers */
    uint8_t flags;    /* LINK_FAULT_LOST */
} board_fault_t;

/* Report `fault`, then end as board_fault_stop does. A fault while reporting ends at once. */
_Noreturn void board_fault_report(const board_fault_t *fault);

/* Report again when the host has sent something: it may have come after the fault. */
void board_fault_repeat(void);

/* Write `text` with board_fault_text, in it for each # the next value as eight hexadecimal digits.
 */
void board_fault_values(const char *text, const uint32_t *values);

/* Implemented by the port: write a zero-terminated text at once. */
void board_fault_text(const char *text);

/* Implemented by the port: end the emulation with `status`; on a chip call board_fault_repeat
 * forever. */
_Noreturn void board_fault_stop(uint32_t status);

#endif
