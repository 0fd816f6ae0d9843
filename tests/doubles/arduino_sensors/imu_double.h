/* An IMU of Arduino's libraries with one sample at a time: sample n is n mg, 1 g and n times 0.07
 * degrees a second. feed(n): n samples are measured, of which the last is kept. */
#ifndef IMU_DOUBLE_H
#define IMU_DOUBLE_H

#include <Arduino.h>

class ImuDouble
{
  public:
    int begin()
    {
        return 1;
    }
    int accelerationAvailable()
    {
        return fresh;
    }
    int readGyroscope(float &x, float &y, float &z)
    {
        x = 0.07f * static_cast<float>(number);
        y = -x;
        z = 3000.0f; // beyond int16 in steps of 0.07
        return 1;
    }
    int readAcceleration(float &x, float &y, float &z)
    {
        x = 0.000732f * static_cast<float>(number);
        y = -x;
        z = 1.0f;
        fresh = 0;
        return 1;
    }
    int number = -1, fresh = 0;
};

extern ImuDouble IMU;
inline void feed(unsigned count)
{
    IMU.number += static_cast<int>(count);
    IMU.fresh = count > 0 ? 1 : 0;
    now_us += 9000 * count;
}

#endif
