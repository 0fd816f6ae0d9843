/* The port checklist: everything the application needs from a board.
 *
 * A port is one folder beside this file that implements these functions; the
 * build chooses the folder. Nothing above this header knows whether it runs on
 * a chip, in an emulator or as a process. From the board's JSON file the build
 * defines BOARD_ID, the file's name without .json, and BOARD_PIN_<name>, the chip's number of each
 * pin.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t counter_num; /* counts = ticks * num / den, see board_counter */
    uint32_t counter_den;
    uint32_t receive_bytes; /* that the line keeps while nobody calls board_read */
} board_info_t;

/* An emulator's line is a pipe to the host, which keeps more than any host has on the way. */
#define BOARD_PIPE_BYTES 4096u

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

/* Core cycles a second, in an emulator those of the chip it stands for; the weak function of what
 * needs it returns the clock of the board's JSON file, so only a port that may run slower has one.
 */
uint32_t board_clock_hz(void);

/* What a person should know of this start, one line with its end; the application's weak function
 * returns "". */
const char *board_note(void);

/* Stack reserved, and the most that was ever used, in bytes; 0 = not known. */
size_t board_stack_bytes(void);
size_t board_stack_used(void);

/* A boot loader that a reset can be made to end in, on boards that have one; the application's weak
 * functions say that there is none. Entering it waits until all that was written is with the host,
 * and does not return. */
bool board_has_boot_loader(void);
void board_enter_boot_loader(void);

/* A sensor, on boards that have one; the application's weak function says that there is none. */
typedef struct {
    char name[12]; /* filled up with zeros */
    char unit[12];
    uint32_t lsb_nano; /* 1e-9 units a step of the sample */
} board_sensor_channel_t;

typedef struct {
    uint32_t rate_millihertz;
    uint32_t channels; /* 1 .. BOARD_SENSOR_CHANNELS */
    const board_sensor_channel_t *channel;
} board_sensor_t;

#define BOARD_SENSOR_CHANNELS 16

/* From the model's front end the build chooses one of the board's sensors and defines its name,
 * BOARD_SENSOR, or says that none suits it. */
#ifndef BOARD_HAS_SENSOR
#define BOARD_HAS_SENSOR 1
#endif

/* Begin to measure, with nothing waiting; returns what is measured, or NULL without a sensor. */
const board_sensor_t *board_sensor_start(void);

/* Take at most `capacity` waiting samples of all channels; returns how many, at once. What happened
 * since the start is added to `state`: samples were lost, none will follow, no answer. */
#define BOARD_SENSOR_OVERRUN 1u
#define BOARD_SENSOR_ENDED 2u
#define BOARD_SENSOR_FAILED 4u
size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state);

#endif
