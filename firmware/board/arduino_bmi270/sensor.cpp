// The Nano 33 BLE Sense Rev2's BMI270 through Arduino's library: 99.84 Hz, 4 g (not 16), 2000 degrees
// a second, one sample at a time. Unverified on hardware.
#include <Arduino.h>
#include <Arduino_BMI270_BMM150.h>

#define IMU_HZ_1000 99840
#include "arduino/imu.h"
