/* The names that firmware/board/arduino uses of ArduinoCore-mbed, to be compiled and linked only.
 */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef F_CPU
#error "the real core's macros need F_CPU"
#endif

namespace arduino
{
class UART
{
  public:
    void begin(unsigned long baud);
    int available();
    int read();
    size_t write(const uint8_t *data, size_t length);
};
} // namespace arduino

extern arduino::UART _UART_USB_;
#define Serial _UART_USB_

unsigned long micros();
unsigned long millis();
void yield();
void setup();
void loop();

#endif
