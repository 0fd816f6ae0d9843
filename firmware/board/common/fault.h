/* A fatal exception, told as text and as a LINK_FAULT frame, with code that needs no heap and no
 * state of the application. */
#ifndef BOARD_FAULT_H
#define BOARD_FAULT_H

#include <stdint.h>

#include "link_protocol.h"

/* What the processor's own code has saved, as it is sent; the build id is filled in here, and it
 * need not have room for more registers than it counts. */
typedef struct {
    link_fault_t head;
    uint32_t registers[LINK_FAULT_REGISTERS];
} board_fault_t;

/* Given by the processor's code: names the first registers, with a # for each. */
extern const char board_fault_words[];

/* Report `fault`, then end as board_fault_stop does. A fault while reporting ends at once. */
_Noreturn void board_fault_report(board_fault_t *fault, uint32_t status);

/* Report again when the host has sent something: it may have come after the fault. */
void board_fault_repeat(void);

/* Implemented by the port: write a zero-terminated text at once. */
void board_fault_text(const char *text);

/* Implemented by the port: end the emulation with `status`; on a chip call board_fault_repeat
 * forever. */
_Noreturn void board_fault_stop(uint32_t status);

#endif
