/* The core's clock: 240 MHz from the PLL, whatever the crystal. */
#ifndef BOARD_ESP32_CLOCK_H
#define BOARD_ESP32_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t crystal_mhz; /* 40 or 26; 0 = neither was recognised, and 40 is assumed */
    bool pll;             /* false: the core stays on the crystal */
    uint32_t cpu_hz;
    uint32_t apb_hz; /* of the UART */
} board_clock_t;

/* Measure the crystal, start the PLL and switch to it. Every wait ends: without the PLL or with an
 * unknown crystal the core stays on the crystal. Uses no constant in the flash. */
void board_clock_start(board_clock_t *clock);

#endif
