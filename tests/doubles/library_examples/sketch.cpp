// Runs a sketch: pairs of numbers come in, milliseconds to pass and samples to feed in each of
// them. An empty DOUBLE is a sketch without a sensor.
#include <Arduino.h>

#ifdef DOUBLE
#include DOUBLE
#define FEED(count) feed(count)
#else
#define FEED(count)
#endif

unsigned long now_us = 1;
SerialDouble Serial;
#ifdef DOUBLE
DOUBLE_OBJECT;
#endif

void setup();
void loop();

int main()
{
    unsigned long milliseconds = 0;
    unsigned samples = 0;
    setup();
    while (scanf("%lu %u", &milliseconds, &samples) == 2) {
        for (unsigned long i = 0; i < milliseconds; i++) {
            const unsigned long due = now_us + 1000;
            FEED(samples);
            loop();
            now_us = now_us < due ? due : now_us;
        }
        if (milliseconds == 0) { // a pause, in milliseconds
            now_us += 1000ul * samples;
        }
    }
    return 0;
}
