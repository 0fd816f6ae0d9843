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

/* Nothing for any class. */
template <typename Score> void everywhereml_clear(Score *scores, int32_t classes)
{
    for (int32_t i = 0; i < classes; i++) {
        scores[i] = 0;
    }
}

/* What `model` itself says to each row of features; called on a computer only. */
template <typename Model, typename Feature>
void everywhereml_predict(Model &model, Feature *rows, int32_t features, int32_t count,
                          int32_t *found)
{
    for (int32_t i = 0; i < count; i++) {
        found[i] = model.predict(rows + i * features);
    }
}

#endif
