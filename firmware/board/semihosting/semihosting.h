/* What a port with semihosting gives to semihosting.c, and calls of it. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

/* Given by the port: the core's instruction that asks the emulator. */
uint32_t semihost(uint32_t operation, const void *argument);

/* Open the pipes of the link; called by board_init. */
void semihost_link(void);

#endif
