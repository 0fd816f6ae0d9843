/* See Arduino.h. read() waits for a byte; available() says every second time that one will come. */
#include "Arduino.h"

#define _Noreturn __attribute__((noreturn))
extern "C" {
#include "common/fault.h"
#include "common/stack.h"
#include "xtensa/xtensa.h"
}

#define SIMCALL_EXIT 1
#define SIMCALL_READ 3
#define SIMCALL_WRITE 4
#define OUTPUT 1
#define ERRORS 2

HardwareSerial Serial;
EspClass ESP;

static bool begun, taken = true;

static int32_t simcall(int32_t operation, uint32_t a, uint32_t b, uint32_t c)
{
    register int32_t a2 __asm__("a2") = operation;
    register uint32_t a3 __asm__("a3") = a;
    register uint32_t a4 __asm__("a4") = b;
    register uint32_t a5 __asm__("a5") = c;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

void HardwareSerial::begin(unsigned long)
{
    begun = true;
}

HardwareSerial::operator bool() const
{
    return begun;
}

int HardwareSerial::available()
{
    taken = !taken;
    return taken ? 0 : 1;
}

int HardwareSerial::read()
{
    uint8_t byte;
    if (!begun || simcall(SIMCALL_READ, 0, (uint32_t)(uintptr_t)&byte, 1) != 1) {
        board_fault_stop(0); /* the host has gone */
    }
    return byte;
}

size_t HardwareSerial::write(const uint8_t *data, size_t length)
{
    const int32_t count =
        simcall(SIMCALL_WRITE, OUTPUT, (uint32_t)(uintptr_t)data, (uint32_t)length);
    return begun && count > 0 ? (size_t)count : 0;
}

uint32_t EspClass::getCycleCount()
{
    return board_ccount();
}

unsigned long micros()
{
    return board_ccount() / (F_CPU / 1000000);
}

unsigned long millis()
{
    static unsigned long now;
    return now += 10; /* time passes where a byte is waited for, without instructions */
}

size_t getArduinoLoopTaskStackSize()
{
    return 8192;
}

size_t uxTaskGetStackHighWaterMark(void *)
{
    return 4096;
}

void yield()
{
}

extern "C" {
int main(void)
{
    setup();
    for (;;) {
        loop();
    }
}

void board_stack_paint(void)
{
}

void board_fault_text(const char *text)
{
    for (; *text != '\0'; text++) {
        (void)simcall(SIMCALL_WRITE, ERRORS, (uint32_t)(uintptr_t)text, 1);
    }
}

void board_fault_stop(uint32_t status)
{
    for (;;) {
        (void)simcall(SIMCALL_EXIT, status, 0, 0);
    }
}
}
