// The Nano 33 BLE's core enters its boot loader as after opening the port at 1200 baud: it writes
// GPREGRET and resets (variants/ARDUINO_NANO33BLE/variant.cpp). Unverified on hardware.
#include <Arduino.h>

#ifdef ARDUINO_ARDUINO_NANO33BLE
extern "C" {
#include "board.h"

bool board_has_boot_loader(void)
{
    return true;
}

void board_enter_boot_loader(void)
{
    Serial.flush();
    delay(100); // USB has taken the reply by then
    _ontouch1200bps_();
}
}
#endif
