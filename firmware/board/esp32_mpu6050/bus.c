/* The bus of an MPU-6050 at an ESP32: two pins that this file drives itself, as open drains with
 * pull-ups. An I2C block would need its own clocks and queue of commands for what are 700 bytes a
 * second. Unverified on hardware. */
#include "board.h"
#include "mpu6050/mpu6050.h"

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
#define HALF_BIT 480u     /* 2 us at 240 MHz; slower with a slower clock, which I2C allows */
#define STRETCH_POLLS 10u /* this chip does not hold the clock; a short circuit does */
#define MS 240000u        /* at 240 MHz; longer with a slower clock */

/* Given by the linker script. */
extern volatile uint32_t reg_gpio[];
extern volatile uint32_t reg_io_mux_sda;
extern volatile uint32_t reg_io_mux_scl;

static void wait(uint32_t ticks)
{
    const uint32_t start = board_counter();
    while (board_counter() - start < ticks) {
    }
}

void mpu6050_wait(uint32_t milliseconds)
{
    wait(milliseconds * MS);
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

bool mpu6050_write(uint32_t number, uint32_t value)
{
    begin();
    const bool good = write_byte(MPU6050_ADDRESS << 1) && write_byte(number) && write_byte(value);
    end();
    return good;
}

bool mpu6050_read(uint32_t number, uint8_t *bytes, uint32_t count)
{
    begin();
    bool good = write_byte(MPU6050_ADDRESS << 1) && write_byte(number);
    if (good) {
        begin();
        good = write_byte(MPU6050_ADDRESS << 1 | 1u);
    }
    for (uint32_t i = 0; good && i < count; i++) {
        bytes[i] = read_byte(i + 1u == count);
    }
    end();
    return good;
}

/* A sensor that was reset in the midst of an answer holds SDA until it has sent the rest. */
void mpu6050_bus_init(void)
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
