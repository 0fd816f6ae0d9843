/* An MPU-6050 at an ESP32: accelerometer and gyroscope at 50 Hz over two pins that this file drives
 * itself, as open drains with pull-ups. An I2C block would need its own clocks and queue of
 * commands for what are 700 bytes a second. The chip's FIFO keeps 85 samples, 1.7 s. Samples are
 * handed on in the steps of the recipe `motion`, which are the Nano's. Unverified on hardware. */
#include <stdbool.h>

#include "board.h"

#define REG(block, offset) ((block)[(offset) / 4u])

#define GPIO_OUT_W1TC 0x0Cu
#define GPIO_ENABLE_W1TS 0x24u
#define GPIO_ENABLE_W1TC 0x28u
#define GPIO_IN 0x3Cu
#define GPIO_FUNC_OUT_SEL 0x530u
#define OUT_BY_REGISTER 0x500u   /* level from OUT, enable from ENABLE */
#define PAD_INPUT_PULLUP 0x2300u /* function 2 (GPIO), input on, pull-up */

#define SDA (1u << BOARD_PIN_SENSOR_SDA)
#define SCL (1u << BOARD_PIN_SENSOR_SCL)
#define HALF_BIT 480u         /* 2 us at 240 MHz; slower with a slower clock, which I2C allows */
#define STRETCH_POLLS 10u     /* this chip does not hold the clock; a short circuit does */
#define RESET_TICKS 24000000u /* 100 ms at 240 MHz */
#define START_TICKS 7200000u  /* 30 ms for the gyroscope's oscillator */

#define ADDRESS 0x68u
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

/* Given by the linker script. */
extern volatile uint32_t reg_gpio[];
extern volatile uint32_t reg_io_mux_sda;
extern volatile uint32_t reg_io_mux_scl;

static const board_sensor_channel_t channels[CHANNELS] = {
    {"ax", "g", 732000},      {"ay", "g", 732000},      {"az", "g", 732000},
    {"wx", "rad/s", 1221730}, {"wy", "rad/s", 1221730}, {"wz", "rad/s", 1221730},
};
static const board_sensor_t sensor = {
    .rate_millihertz = 50000,
    .channels = CHANNELS,
    .channel = channels,
};

static void wait(uint32_t ticks)
{
    const uint32_t start = board_counter();
    while (board_counter() - start < ticks) {
    }
}

static void drive_low(uint32_t line)
{
    REG(reg_gpio, GPIO_ENABLE_W1TS) = line;
    wait(HALF_BIT);
}

static void release(uint32_t line)
{
    REG(reg_gpio, GPIO_ENABLE_W1TC) = line;
    wait(HALF_BIT);
}

static void release_clock(void)
{
    release(SCL);
    for (uint32_t i = 0; i < STRETCH_POLLS && (REG(reg_gpio, GPIO_IN) & SCL) == 0; i++) {
        wait(HALF_BIT);
    }
}

static void begin(void) /* also again, between writing and reading */
{
    release(SDA);
    release_clock();
    drive_low(SDA);
    drive_low(SCL);
}

static void end(void)
{
    drive_low(SDA);
    release_clock();
    release(SDA);
}

/* One bit out, one in: a 1 leaves the line to the other side. */
static uint32_t exchange_bit(uint32_t bit)
{
    if (bit != 0) {
        release(SDA);
    } else {
        drive_low(SDA);
    }
    release_clock();
    const uint32_t found = (REG(reg_gpio, GPIO_IN) & SDA) != 0 ? 1u : 0u;
    drive_low(SCL);
    return found;
}

/* Whether the other side has acknowledged. */
static bool write_byte(uint32_t byte)
{
    for (uint32_t mask = 0x80u; mask != 0; mask >>= 1) {
        (void)exchange_bit(byte & mask);
    }
    return exchange_bit(1) == 0;
}

static uint8_t read_byte(bool last)
{
    uint32_t byte = 0;
    for (uint32_t i = 0; i < 8u; i++) {
        byte = byte << 1 | exchange_bit(1);
    }
    (void)exchange_bit(last ? 1 : 0);
    return (uint8_t)byte;
}

static bool write_register(uint32_t number, uint32_t value)
{
    begin();
    const bool good = write_byte(ADDRESS << 1) && write_byte(number) && write_byte(value);
    end();
    return good;
}

static bool mpu6050_read(uint32_t number, uint8_t *bytes, uint32_t count)
{
    begin();
    bool good = write_byte(ADDRESS << 1) && write_byte(number);
    if (good) {
        begin();
        good = write_byte(ADDRESS << 1 | 1u);
    }
    for (uint32_t i = 0; good && i < count; i++) {
        bytes[i] = read_byte(i + 1u == count);
    }
    end();
    return good;
}

/* A sensor that was reset in the midst of an answer holds SDA until it has sent the rest. */
static void bus_init(void)
{
    REG(reg_gpio, GPIO_OUT_W1TC) = SDA | SCL;
    REG(reg_gpio, GPIO_ENABLE_W1TC) = SDA | SCL;
    REG(reg_gpio, GPIO_FUNC_OUT_SEL + 4u * BOARD_PIN_SENSOR_SDA) = OUT_BY_REGISTER;
    REG(reg_gpio, GPIO_FUNC_OUT_SEL + 4u * BOARD_PIN_SENSOR_SCL) = OUT_BY_REGISTER;
    reg_io_mux_sda = PAD_INPUT_PULLUP;
    reg_io_mux_scl = PAD_INPUT_PULLUP;
    wait(HALF_BIT);
    for (uint32_t i = 0; i < 9u && (REG(reg_gpio, GPIO_IN) & SDA) == 0; i++) {
        drive_low(SCL);
        release_clock();
    }
    end();
}

static bool fifo_restart(void)
{
    return write_register(USER_CTRL, FIFO_ON_EMPTIED);
}

const board_sensor_t *board_sensor_start(void)
{
    uint8_t who = 0;
    bus_init();
    if (!mpu6050_read(WHO_AM_I, &who, 1) || who != IS_MPU6050 ||
        !write_register(PWR_MGMT_1, RESET)) {
        return NULL;
    }
    wait(RESET_TICKS);
    if (!write_register(PWR_MGMT_1, CLOCK_OF_GYRO)) {
        return NULL;
    }
    wait(START_TICKS);
    const bool good =
        write_register(SMPLRT_DIV, DIVIDE_TO_50_HZ) && write_register(CONFIG, BANDWIDTH_20_HZ) &&
        write_register(GYRO_CONFIG, RANGE_LARGEST) && write_register(ACCEL_CONFIG, RANGE_LARGEST) &&
        write_register(FIFO_EN, ALL_AXES) && fifo_restart();
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
