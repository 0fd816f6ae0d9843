/* What a port of an emulator gives to sensor.c: a file on the host in the sensor's place. */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#define REPLAY_FILE "sensor" /* in the emulator's working folder */

/* Go to the start of the file; false when there is none. */
bool replay_open(void);

/* Read what is next into `data`; fewer bytes than `capacity` at the end only. */
size_t replay_read(void *data, size_t capacity);

#endif
