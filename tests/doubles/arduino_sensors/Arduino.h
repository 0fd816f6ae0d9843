/* What the sensors' ports use of Arduino's core, for this computer. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

extern unsigned long now_us;
inline unsigned long micros()
{
    return now_us;
}
inline void delay(unsigned long ms)
{
    now_us += 1000 * ms;
}

#endif
