/* A recording in the sensor's place: the file holds two numbers, rate and channels, then each
 * channel, as board_sensor_t has them, then the samples. It is given as fast as it is asked for. */
#include "board.h"
#include "replay.h"

typedef struct {
    uint32_t rate_millihertz;
    uint32_t channels;
} header_t;

static board_sensor_t sensor;
static board_sensor_channel_t channel[BOARD_SENSOR_CHANNELS];

const board_sensor_t *board_sensor_start(void)
{
    header_t header = {0};
    if (!replay_open() || replay_read(&header, sizeof(header)) != sizeof(header) ||
        header.channels == 0 || header.channels > BOARD_SENSOR_CHANNELS) {
        return NULL;
    }
    const size_t bytes = header.channels * sizeof(channel[0]);
    if (replay_read(channel, bytes) != bytes) {
        return NULL;
    }
    sensor = (board_sensor_t){
        .rate_millihertz = header.rate_millihertz,
        .channels = header.channels,
        .channel = channel,
    };
    return &sensor;
}

size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    const size_t bytes = sensor.channels * sizeof(int16_t);
    const size_t count = replay_read(samples, capacity * bytes) / bytes;
    if (count < capacity) {
        *state |= BOARD_SENSOR_ENDED;
    }
    return count;
}
