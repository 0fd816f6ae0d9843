/* Wire with an MPU-6050 at 0x68; its FIFO has a count of up to 84 samples. feed(n): n samples. */
#ifndef WIRE_H
#define WIRE_H

#include <Arduino.h>

class TwoWire
{
  public:
    void begin()
    {
    }
    void setClock(uint32_t)
    {
    }
    void beginTransmission(uint8_t address)
    {
        acknowledged = address == 0x68, count = 0;
    }
    size_t write(uint8_t byte)
    {
        if (count++ == 0) {
            place = byte;
        } else {
            registers[place++ % 128] = byte;
        }
        return 1;
    }
    uint8_t endTransmission(bool = true)
    {
        return acknowledged ? 0 : 2;
    }
    uint8_t requestFrom(uint8_t address, uint8_t wanted)
    {
        return address == 0x68 ? wanted : 0;
    }
    int read()
    {
        const unsigned bytes = 12 * waiting;
        if (place == 0x74) { // each sample: 0, n, 0, n ...
            const int byte = taken % 2 == 0 ? 0 : static_cast<int>(taken / 12 % 100);
            taken++;
            waiting -= taken % 12 == 0 ? 1 : 0;
            return byte;
        }
        const int value = place == 0x72   ? static_cast<int>(bytes >> 8)
                          : place == 0x73 ? static_cast<int>(bytes & 255)
                          : place == 0x75 ? 0x68
                          : place == 0x3A ? overflow
                                          : registers[place % 128];
        place++;
        return value;
    }
    bool acknowledged = false;
    unsigned count = 0, place = 0, waiting = 0, taken = 0;
    int overflow = 0;
    uint8_t registers[128] = {};
};

extern TwoWire Wire;
inline void feed(unsigned count)
{
    Wire.waiting += count;
    Wire.overflow = Wire.waiting > 85 ? 0x10 : 0;
    Wire.waiting = Wire.waiting > 85 ? 0 : Wire.waiting;
}

#endif
