/* A double of the parts of Arduino's core that firmware/board/arduino uses; tests/test_arduino.py
 * says what happens when. Time passes while the firmware polls: 1 ms each yield(). */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <deque>
#include <string>

extern uint32_t now_ms;
inline uint32_t millis()
{
    return now_ms;
}
inline uint32_t micros()
{
    return now_ms * 1000;
}
inline void yield()
{
    now_ms++;
}

/* USB serial as ArduinoCore-mbed has it, where Serial hands on to _SerialUSB: packets of at most 64
 * bytes, one under way at a time. Its write() never comes back from a host that does not read, so
 * here it ends the test. */
struct UsbSerial {
    bool open = false;
    bool reads = true;
    bool busy = false;
    uint32_t begun = 0;
    std::deque<uint8_t> input;
    std::string sent;
    std::string driver; /* what the host's driver holds back until a short packet follows */
    void begin(unsigned long)
    {
        begun++;
    }
    bool connected()
    {
        return open;
    }
    explicit operator bool()
    {
        return open;
    }
    int available()
    {
        return (int)input.size();
    }
    int read()
    {
        const int byte = input.front();
        input.pop_front();
        return byte;
    }
    void packet(const uint8_t *data, size_t length)
    {
        driver.append((const char *)data, length);
        if (length < 64) {
            sent += driver;
            driver.clear();
        }
    }
    size_t write(const uint8_t *data, size_t length)
    {
        if (!open) {
            return 0;
        }
        if (!reads) {
            puts("write() hangs");
            fflush(stdout);
            __builtin_trap();
        }
        for (size_t at = 0; at < length; at += 64) {
            packet(data + at, length - at < 64 ? length - at : 64);
        }
        return length;
    }
    void send_nb(uint8_t *data, uint32_t length, uint32_t *taken, bool)
    {
        *taken = 0;
        if (open && !busy) {
            *taken = length < 64 ? length : 64;
            packet(data, *taken);
            busy = !reads; /* nobody fetches it */
        }
    }
};
extern UsbSerial _SerialUSB;
#define Serial _SerialUSB

#ifdef ARDUINO_ARCH_ESP32
struct Chip {
    uint32_t getCycleCount()
    {
        return 240000000u;
    }
};
extern Chip ESP;
inline size_t getArduinoLoopTaskStackSize()
{
    return 8192;
}
inline size_t uxTaskGetStackHighWaterMark(void *)
{
    return 6192;
}
#endif

#endif
