// Any board with the Arduino framework: Serial is the link. Unverified on hardware.
// The framework has a main of its own, so the build renames the application's to firmware_main and
// gives BOARD_ID. The counter has the resolution of micros(), 1 us; the stack is the framework's.
#include <Arduino.h>

extern "C" {
#include "board.h"

int firmware_main(void);

const board_info_t board_info = {BOARD_ID, F_CPU / 1000000, 1};

void board_init(void)
{
    Serial.begin(115200);
}

size_t board_read(uint8_t *data, size_t capacity)
{
    size_t count = 0;
    while (count < capacity && Serial.available() > 0) {
        data[count++] = static_cast<uint8_t>(Serial.read());
    }
    if (count == 0) {
        yield();
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    Serial.write(data, length);
}

uint32_t board_counter(void)
{
    return micros();
}

size_t board_stack_bytes(void)
{
    return 0;
}

size_t board_stack_used(void)
{
    return 0;
}
}

void setup()
{
    firmware_main(); // does not return
}

void loop()
{
}
