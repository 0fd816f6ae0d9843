/* What a class that everywhereml has written takes from Arduino's core. */
#ifndef EVERYWHEREML_HPP
#define EVERYWHEREML_HPP

#ifdef ARDUINO
#include <Arduino.h>
#else
#include <stddef.h>
#include <stdint.h>

/* The name of a class. */
class String
{
  public:
    String(const char *name) : text(name)
    {
    }
    const char *c_str() const
    {
        return text;
    }

  private:
    const char *text;
};

/* It measures its own time; the firmware does that around it. */
static inline unsigned long micros()
{
    return 0;
}
#endif

#endif
