/* The port checklist: everything the application needs from a board.
 *
 * A port is one folder beside this file that implements these functions; the
 * build chooses the folder. Nothing above this header knows whether it runs on
 * a chip, in an emulator or as a process.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *id;       /* the board's file name in boards/, without .json */
    uint32_t counter_num; /* counts = ticks * num / den, see board_counter */
    uint32_t counter_den;
} board_info_t;

extern const board_info_t board_info;

/* Bring up clocks, the serial line and the counter. Called once, first. */
void board_init(void);

/* Receive at most `capacity` bytes; returns how many. Emulators may wait for
 * the first byte; a chip returns 0 at once when nothing has arrived. A port
 * whose host has gone away ends the emulation instead of returning. */
size_t board_read(uint8_t *data, size_t capacity);

/* Send all `length` bytes; returns when the channel has taken them. */
void board_write(const uint8_t *data, size_t length);

/* A free-running 32-bit up-counter in ticks; it may wrap between two reads. A
 * difference of ticks times counter_num / counter_den is core cycles on a chip
 * and retired instructions in an emulator. */
uint32_t board_counter(void);

/* Stack reserved, and the most that was ever used, in bytes; 0 = not known. */
size_t board_stack_bytes(void);
size_t board_stack_used(void);

#endif
