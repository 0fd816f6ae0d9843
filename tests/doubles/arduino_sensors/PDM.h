/* The library's microphone: sample n is n modulo 30000. feed(n): n samples, 256 at a time. */
#ifndef PDM_H
#define PDM_H

#include <Arduino.h>

class PDMClass
{
  public:
    int begin(int channels, int rate)
    {
        return started = channels == 1 && rate == 16000 && gain == 80;
    }
    void end()
    {
        started = false;
    }
    void setGain(int value)
    {
        gain = value;
    }
    void onReceive(void (*function)(void))
    {
        receive = function;
    }
    int read(void *buffer, size_t size)
    {
        int16_t *samples = static_cast<int16_t *>(buffer);
        const size_t count = waiting < size / 2 ? waiting : size / 2;
        for (size_t i = 0; i < count; i++) {
            samples[i] = static_cast<int16_t>(number++ % 30000);
        }
        waiting -= count;
        return static_cast<int>(2 * count);
    }
    bool started = false;
    int gain = -1;
    void (*receive)(void) = nullptr;
    size_t waiting = 0;
    unsigned number = 0;
};

extern PDMClass PDM;
inline void feed(unsigned count)
{
    for (unsigned i = 0; PDM.started && i < count / 256; i++) {
        PDM.waiting = 256;
        PDM.receive();
    }
}

#endif
