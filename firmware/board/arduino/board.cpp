// Any board with the Arduino framework: Serial is the link. Unverified on hardware.
// The framework has a main of its own, so the build renames the application's to firmware_main and
// gives BOARD_ID.
#include <Arduino.h>

#ifdef ARDUINO_ARCH_MBED
#include <USB/PluggableUSBSerial.h> // _SerialUSB, which Serial stands for
#endif
#ifdef ARDUINO_ARCH_NRF52840
#include <cmsis.h>
#endif

// Of every core's Serial, at least: the AVR's ring.
#define RECEIVE_BYTES 63u

extern "C" {
#include "board.h"

int firmware_main(void);

// The counter is the core's own, of its cycles, where the framework shows it: interrupts and other
// threads count too. Elsewhere it has the resolution of micros(), 1 us.
#if defined(ARDUINO_ARCH_NRF52840) || defined(ARDUINO_ARCH_ESP32)
const board_info_t board_info = {1, 1, RECEIVE_BYTES};
#else
const board_info_t board_info = {F_CPU / 1000000, 1, RECEIVE_BYTES};
#endif
}

namespace
{

const size_t USB_PACKET = 64;
const size_t HELD_BYTES = 1024;
const uint32_t SETTLE_MS = 100; // a host sets its port up after it has opened it
const uint32_t STALL_MS = 500;  // a host that takes nothing for so long does not read

// What was written before the first host was there: the banner. Without room its end is dropped.
uint8_t held[HELD_BYTES];
size_t held_bytes;
bool met;         // a host has been there and got what was held
bool here;        // a host has the port open
bool stalled;     // and did not read at the last attempt
uint32_t here_ms; // since when

bool listener()
{
#ifdef ARDUINO_ARCH_MBED
    const bool now = _SerialUSB.connected(); // bool(Serial) would take 1 ms
#else
    const bool now = static_cast<bool>(Serial);
#endif
    if (now && !here) {
        here_ms = millis();
        stalled = false;
    }
    here = now;
    return now;
}

// As many bytes as the line takes at once.
size_t take(const uint8_t *data, size_t length)
{
#ifdef ARDUINO_ARCH_MBED
    // Its write() waits without end for a host that has the port open and does not read.
    uint32_t taken = 0;
    _SerialUSB.send_nb(const_cast<uint8_t *>(data), length, &taken, true);
    return taken;
#else
    return Serial.write(data, length);
#endif
}

// Drops the rest when the host goes or does not read: it will ask again. After that a write tries
// once, until the host takes something, so that a text of many lines does not wait often.
void send(const uint8_t *data, size_t length)
{
    uint32_t since = millis();
    while (length > 0 && listener()) {
        const size_t taken = take(data, length);
        data += taken;
        length -= taken;
        if (taken > 0) {
            since = millis();
            stalled = false;
        } else if (stalled || millis() - since >= STALL_MS) {
            stalled = true;
            return;
        } else {
            yield();
        }
    }
}

bool whole; // the last packet was

void send_packets(const uint8_t *data, size_t length)
{
    send(data, length);
    whole = length > 0 && length % USB_PACKET == 0;
}

// A host's driver may keep a whole packet until a shorter one follows, and when the firmware reads,
// none does: 00 is the end of a frame or of text once more.
void end_packets()
{
    static const uint8_t delimiter = 0;
    if (whole) {
        send_packets(&delimiter, 1);
    }
}

// Whether what is written goes to the line; the first time after what was held.
bool meet()
{
    if (!met && listener() && millis() - here_ms >= SETTLE_MS) {
        met = true;
        send_packets(held, held_bytes);
    }
    return met;
}

} // namespace

extern "C" {

void board_init(void)
{
    Serial.begin(115200);
#ifdef ARDUINO_ARCH_NRF52840
    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
#endif
}

size_t board_read(uint8_t *data, size_t capacity)
{
    size_t count = 0;
    meet();
    end_packets();
    while (count < capacity && Serial.available() > 0) {
        data[count++] = static_cast<uint8_t>(Serial.read());
    }
    if (count == 0) {
        yield(); // the framework's threads have their turn, the one that answers 1200 baud too
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    if (meet()) {
        send_packets(data, length);
    } else {
        const size_t room = HELD_BYTES - held_bytes;
        const size_t kept = length < room ? length : room;
        memcpy(&held[held_bytes], data, kept);
        held_bytes += kept;
    }
}

uint32_t board_counter(void)
{
#if defined(ARDUINO_ARCH_NRF52840)
    return DWT->CYCCNT;
#elif defined(ARDUINO_ARCH_ESP32)
    return ESP.getCycleCount();
#else
    return micros();
#endif
}

size_t board_stack_bytes(void)
{
#ifdef ARDUINO_ARCH_ESP32
    return getArduinoLoopTaskStackSize();
#else
    return 0; // the framework does not tell
#endif
}

size_t board_stack_used(void)
{
#ifdef ARDUINO_ARCH_ESP32
    return getArduinoLoopTaskStackSize() - uxTaskGetStackHighWaterMark(nullptr);
#else
    return 0;
#endif
}
}

void setup()
{
    firmware_main(); // does not return
}

void loop()
{
}
