// Pairs of numbers come in: samples to feed, capacity of the read that follows. Out goes a line for
// each: count, state, and the samples' values.
#include <stdio.h>

#include DOUBLE

extern "C" {
#include "board.h"
}

unsigned long now_us = 1;
DOUBLE_OBJECT;

int main()
{
    static int16_t samples[6 * 8192];
    const board_sensor_t *sensor = board_sensor_start();
    if (sensor == nullptr) {
        return 4;
    }
    printf("%u %u\n", sensor->rate_millihertz, sensor->channels);
    unsigned count = 0, capacity = 0;
    while (scanf("%u %u", &count, &capacity) == 2 && capacity <= 8192) {
        feed(count);
        uint32_t state = 0;
        const size_t made = board_sensor_read(samples, capacity, &state);
        printf("%zu %u", made, state);
        for (size_t i = 0; i < made * sensor->channels; i++) {
            printf(" %d", samples[i]);
        }
        printf("\n");
    }
    return 0;
}
