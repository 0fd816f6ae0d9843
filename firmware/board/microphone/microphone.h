/* What the port of a microphone gives to sensor.c: 16-bit samples of one channel at 16 kHz, which
 * the hardware puts into memory by itself. */
#ifndef MICROPHONE_H
#define MICROPHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MICROPHONE_HZ 16000

/* Begin anew, with nothing waiting; false when it does not start. */
bool microphone_start(void);

/* As board_sensor_read. */
size_t microphone_read(int16_t *samples, size_t capacity, uint32_t *state);

#endif
