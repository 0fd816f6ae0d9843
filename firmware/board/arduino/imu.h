// An accelerometer and gyroscope behind an object IMU of Arduino's libraries, which both of them
// have. A sensor.cpp includes its library first and defines IMU_HZ_1000, what the chip measures at.
// Every second sample is handed on, in the steps of the recipe `motion`; the libraries keep none,
// so a pause of two samples is an overrun.
#ifndef ARDUINO_IMU_H
#define ARDUINO_IMU_H

#include <math.h>

extern "C" {
#include "board.h"
}

namespace
{

const uint32_t STEP = 2;
const uint32_t CHANNELS = 6;
const float G_STEP = 0.000732f;
const float DEGREES_STEP = 0.07f;
const uint32_t PERIOD_US = 1000000000u / IMU_HZ_1000;

const board_sensor_channel_t channels[CHANNELS] = {
    {"ax", "g", 732000},      {"ay", "g", 732000},      {"az", "g", 732000},
    {"wx", "rad/s", 1221730}, {"wy", "rad/s", 1221730}, {"wz", "rad/s", 1221730},
};
const board_sensor_t sensor = {IMU_HZ_1000 / STEP, CHANNELS, channels};
uint32_t phase, last_us;

int16_t in_steps(float value, float step)
{
    const float steps = roundf(value / step);
    return static_cast<int16_t>(steps > 32767.0f    ? 32767.0f
                                : steps < -32768.0f ? -32768.0f
                                                    : steps);
}

bool read_both(int16_t *sample)
{
    float a[3], w[3];
    if (!IMU.readGyroscope(w[0], w[1], w[2]) || !IMU.readAcceleration(a[0], a[1], a[2])) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        sample[i] = in_steps(a[i], G_STEP);
        sample[3 + i] = in_steps(w[i], DEGREES_STEP);
    }
    return true;
}

} // namespace

extern "C" const board_sensor_t *board_sensor_start(void)
{
    phase = 0;
    last_us = 0;
    return IMU.begin() ? &sensor : nullptr;
}

extern "C" size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    size_t made = 0;
    while (made < capacity && IMU.accelerationAvailable() > 0) {
        const uint32_t now = static_cast<uint32_t>(micros());
        if (last_us != 0 && now - last_us > 2 * PERIOD_US) {
            *state |= BOARD_SENSOR_OVERRUN;
        }
        last_us = now;
        if (!read_both(&samples[made * CHANNELS])) {
            *state |= BOARD_SENSOR_FAILED;
            return made;
        }
        phase = (phase + 1) % STEP;
        made += phase == 0 ? 1 : 0;
    }
    return made;
}

#endif
