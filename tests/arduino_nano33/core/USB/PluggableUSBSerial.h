/* See Arduino.h beside this folder. */
#include <stdint.h>

namespace arduino
{
class USBSerial
{
  public:
    bool connected();
    void send_nb(uint8_t *buffer, uint32_t size, uint32_t *actual, bool now = true);
};
} // namespace arduino

extern arduino::USBSerial _SerialUSB;
