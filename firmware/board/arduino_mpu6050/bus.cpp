// The bus of an MPU-6050 with the Arduino framework: Wire on its default pins. Unverified on hardware.
#include <Arduino.h>
#include <Wire.h>

#include "mpu6050/mpu6050.h"

void mpu6050_bus_init(void)
{
    Wire.begin();
    Wire.setClock(400000);
}

void mpu6050_wait(uint32_t milliseconds)
{
    delay(milliseconds);
}

bool mpu6050_write(uint32_t number, uint32_t value)
{
    Wire.beginTransmission(static_cast<uint8_t>(MPU6050_ADDRESS));
    Wire.write(static_cast<uint8_t>(number));
    Wire.write(static_cast<uint8_t>(value));
    return Wire.endTransmission() == 0;
}

bool mpu6050_read(uint32_t number, uint8_t *bytes, uint32_t count)
{
    Wire.beginTransmission(static_cast<uint8_t>(MPU6050_ADDRESS));
    Wire.write(static_cast<uint8_t>(number));
    if (Wire.endTransmission(false) != 0 ||
        Wire.requestFrom(static_cast<uint8_t>(MPU6050_ADDRESS), static_cast<uint8_t>(count)) !=
            count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = static_cast<uint8_t>(Wire.read());
    }
    return true;
}
