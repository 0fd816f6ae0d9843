/* Nothing here runs: the image is linked and looked at. */
#include <Arduino.h>
#include <USB/PluggableUSBSerial.h>
#include <cmsis.h>

arduino::UART _UART_USB_;
arduino::USBSerial _SerialUSB;
CoreDebug_Type core_debug;
DWT_Type dwt;

void arduino::UART::begin(unsigned long)
{
}

int arduino::UART::available()
{
    return 0;
}

int arduino::UART::read()
{
    return -1;
}

size_t arduino::UART::write(const uint8_t *, size_t length)
{
    return length;
}

bool arduino::USBSerial::connected()
{
    return true;
}

void arduino::USBSerial::send_nb(uint8_t *, uint32_t size, uint32_t *actual, bool)
{
    *actual = size;
}

unsigned long micros()
{
    return 0;
}

unsigned long millis()
{
    return 0;
}

void yield()
{
}

int main()
{
    setup();
    for (;;) {
        loop();
    }
}
