/* What the sketches of a library use of Arduino's core, for this computer: time passes in
 * sketch.cpp. */
#ifndef SKETCH_ARDUINO_H
#define SKETCH_ARDUINO_H

#include "../arduino_sensors/Arduino.h"

#include <stdio.h>

inline unsigned long millis()
{
    return now_us / 1000;
}

struct SerialDouble {
    void begin(unsigned long)
    {
    }
    explicit operator bool()
    {
        return true;
    }
    void print(const char *text)
    {
        fputs(text, stdout);
    }
    void print(unsigned long value)
    {
        printf("%lu", value);
    }
    template <typename T> void println(T value)
    {
        print(value);
        puts("");
    }
    void println(int value)
    {
        printf("%d\n", value);
    }
    void print(unsigned value)
    {
        printf("%u", value);
    }
};

extern SerialDouble Serial;

#endif
