// The Nano 33 BLE's LSM9DS1 through Arduino's library: 119 Hz, 4 g (not 16), 2000 degrees a second,
// one sample at a time. Unverified on hardware.
#include <Arduino.h>
#include <Arduino_LSM9DS1.h>

#define IMU_HZ_1000 119000
#include "arduino/imu.h"
