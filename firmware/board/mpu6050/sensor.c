/* An MPU-6050: accelerometer and gyroscope at 50 Hz. The chip's FIFO keeps 85 samples, 1.7 s.
 * Samples are handed on in the steps of the recipe `motion`, which are the Nano's. Unverified on
 * hardware. */
#include <stdbool.h>

#include "board.h"
#include "mpu6050.h"

#define RESET_MS 100u
#define START_MS 30u /* for the gyroscope's oscillator */

#define SMPLRT_DIV 0x19u
#define CONFIG 0x1Au
#define GYRO_CONFIG 0x1Bu
#define ACCEL_CONFIG 0x1Cu
#define FIFO_EN 0x23u
#define INT_STATUS 0x3Au
#define USER_CTRL 0x6Au
#define PWR_MGMT_1 0x6Bu
#define FIFO_COUNT 0x72u
#define FIFO_R_W 0x74u
#define WHO_AM_I 0x75u

#define DIVIDE_TO_50_HZ 19u /* 1 kHz / (1 + 19) */
#define BANDWIDTH_20_HZ 4u
#define RANGE_LARGEST 0x18u /* 2000 degrees a second; 16 g */
#define ALL_AXES 0x78u
#define FIFO_ON_EMPTIED 0x44u
#define FIFO_OVERFLOW 0x10u
#define RESET 0x80u
#define CLOCK_OF_GYRO 1u
#define IS_MPU6050 0x68u

#define AXES 3u
#define CHANNELS (2u * AXES)
#define SAMPLE_BYTES (2u * CHANNELS)
/* 2^16 times the chip's step over the one that is handed on: 1/2048 g over 0.732 mg, 1/16.4 over
 * 0.07 degrees a second. */
#define ACCEL_SCALE 43716
#define GYRO_SCALE 57087

static const board_sensor_channel_t channels[CHANNELS] = {
    {"ax", "g", 732000},      {"ay", "g", 732000},      {"az", "g", 732000},
    {"wx", "rad/s", 1221730}, {"wy", "rad/s", 1221730}, {"wz", "rad/s", 1221730},
};
static const board_sensor_t sensor = {
    .rate_millihertz = 50000,
    .channels = CHANNELS,
    .channel = channels,
};

static bool fifo_restart(void)
{
    return mpu6050_write(USER_CTRL, FIFO_ON_EMPTIED);
}

const board_sensor_t *board_sensor_start(void)
{
    uint8_t who = 0;
    mpu6050_bus_init();
    if (!mpu6050_read(WHO_AM_I, &who, 1) || who != IS_MPU6050 ||
        !mpu6050_write(PWR_MGMT_1, RESET)) {
        return NULL;
    }
    mpu6050_wait(RESET_MS);
    if (!mpu6050_write(PWR_MGMT_1, CLOCK_OF_GYRO)) {
        return NULL;
    }
    mpu6050_wait(START_MS);
    const bool good =
        mpu6050_write(SMPLRT_DIV, DIVIDE_TO_50_HZ) && mpu6050_write(CONFIG, BANDWIDTH_20_HZ) &&
        mpu6050_write(GYRO_CONFIG, RANGE_LARGEST) && mpu6050_write(ACCEL_CONFIG, RANGE_LARGEST) &&
        mpu6050_write(FIFO_EN, ALL_AXES) && fifo_restart();
    return good ? &sensor : NULL;
}

static bool read_sample(int16_t *sample)
{
    uint8_t bytes[SAMPLE_BYTES];
    if (!mpu6050_read(FIFO_R_W, bytes, SAMPLE_BYTES)) {
        return false;
    }
    for (uint32_t i = 0; i < CHANNELS; i++) {
        const int16_t value = (int16_t)(uint16_t)(bytes[2u * i] << 8 | bytes[2u * i + 1u]);
        const int32_t scale = i < AXES ? ACCEL_SCALE : GYRO_SCALE;
        sample[i] = (int16_t)((value * scale + (1 << 15)) >> 16);
    }
    return true;
}

size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    uint8_t status = 0;
    uint8_t count[2] = {0, 0};
    bool good = mpu6050_read(INT_STATUS, &status, 1) && mpu6050_read(FIFO_COUNT, count, 2);
    if (good && (status & FIFO_OVERFLOW) != 0) { /* what is in it may begin within a sample */
        *state |= BOARD_SENSOR_OVERRUN;
        good = fifo_restart();
        count[0] = count[1] = 0;
    }
    const size_t waiting = (size_t)(count[0] << 8 | count[1]) / SAMPLE_BYTES;
    size_t made = 0;
    while (good && made < capacity && made < waiting) {
        good = read_sample(&samples[made * CHANNELS]);
        made += good ? 1u : 0u;
    }
    *state |= good ? 0 : BOARD_SENSOR_FAILED;
    return made;
}
