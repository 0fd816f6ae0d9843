/* What the Xtensa ports read from the core. */
#ifndef BOARD_XTENSA_H
#define BOARD_XTENSA_H

#include <stdint.h>

static inline uint32_t board_ccount(void)
{
    uint32_t value;
    __asm__ volatile("rsr %0, ccount" : "=a"(value));
    return value;
}

#endif
