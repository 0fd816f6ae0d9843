/* The flash as memory: its byte number n is read at ORIGIN(FLASH) + n of boards/esp32c3.ld. */
#ifndef BOARD_ESP32C3_FLASH_H
#define BOARD_ESP32C3_FLASH_H

/* Map the flash. Constants lie there, so this comes before the first use of one. Does not return,
 * and says so on the UART, when a constant does not read as it was linked. */
void board_flash_map(void);

#endif
