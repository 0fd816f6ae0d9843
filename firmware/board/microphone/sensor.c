/* A microphone as the board's sensor. The build says at which rate the model listens
 * (BOARD_SENSOR_HZ): the microphone's own, or half of it. */
#include "board.h"
#include "fe_halve.h"
#include "microphone.h"

#define STEP (MICROPHONE_HZ / BOARD_SENSOR_HZ)
#define BATCH 32 /* of the microphone's samples, at a time */

_Static_assert(STEP == 1 || STEP == 2, "the microphone's rate, or half of it");

/* full scale is 1, as in a .wav file */
static const board_sensor_channel_t channel = {"audio", "1", 30518};
static const board_sensor_t sensor = {
    .rate_millihertz = 1000u * BOARD_SENSOR_HZ,
    .channels = 1,
    .channel = &channel,
};
static fe_halve_t halves;

const board_sensor_t *board_sensor_start(void)
{
    halves = (fe_halve_t){.count = 0};
    return microphone_start() ? &sensor : NULL;
}

static size_t read_halved(int16_t *samples, size_t capacity, uint32_t *state)
{
    int16_t heard[BATCH];
    size_t made = 0;
    while (made < capacity) {
        const size_t left = STEP * (capacity - made);
        const size_t wanted = left < BATCH ? left : BATCH;
        const size_t count = microphone_read(heard, wanted, state);
        made += fe_halve(&halves, heard, count, &samples[made]);
        if (count < wanted) {
            break;
        }
    }
    return made;
}

size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    return STEP == 1 ? microphone_read(samples, capacity, state)
                     : read_halved(samples, capacity, state);
}
