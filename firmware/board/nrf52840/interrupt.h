/* Interrupts, for ports that cannot do without one; the firmware runs with none else. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdint.h>

/* Call `handler` for interrupt `number` (below 32) from now on. */
void interrupt_take(uint32_t number, void (*handler)(void));

#endif
