/* In place of the core's counter: that of chip.c. */
#ifndef BOARD_XTENSA_H
#define BOARD_XTENSA_H

#include <stdint.h>

uint32_t board_ccount(void);

#endif
