/* What firmware/board/arduino uses of Arduino's core for the ESP32, on QEMU's simulator calls. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

class HardwareSerial
{
  public:
    void begin(unsigned long baud);
    explicit operator bool() const;
    int available();
    int read();
    size_t write(const uint8_t *data, size_t length);
};

class EspClass
{
  public:
    uint32_t getCycleCount();
};

extern HardwareSerial Serial;
extern EspClass ESP;

unsigned long micros();
unsigned long millis();
size_t getArduinoLoopTaskStackSize();
size_t uxTaskGetStackHighWaterMark(void *task);
void yield();
void setup();
void loop();

#endif
