// The Nano 33 BLE Sense's microphone through Arduino's PDM library, whose interrupt fills a ring here.
// Unverified on hardware.
#include <Arduino.h>
#include <PDM.h>

extern "C" {
#include "board.h"
#include "microphone/microphone.h"
}

namespace {

const uint32_t RING = 8192; // a power of two: 0.5 s
const int GAIN_20_DB = 80;

int16_t ring[RING];
volatile uint32_t heard, lost; // samples
uint32_t taken, lost_before;

void receive()
{
    int16_t samples[256];
    const int bytes = PDM.read(samples, sizeof(samples));
    for (int i = 0; i < bytes / 2; i++) {
        if (heard - taken == RING) {
            lost = lost + 1;
        } else {
            ring[heard % RING] = samples[i];
            heard = heard + 1;
        }
    }
}

} // namespace

extern "C" bool microphone_start(void)
{
    PDM.end();
    heard = taken = lost = lost_before = 0;
    PDM.onReceive(receive);
    PDM.setGain(GAIN_20_DB);
    return PDM.begin(1, MICROPHONE_HZ) != 0;
}

extern "C" size_t microphone_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    if (lost != lost_before) { // what waits is from before the gap
        lost_before = lost;
        taken = heard;
        *state |= BOARD_SENSOR_OVERRUN;
        return 0;
    }
    size_t count = 0;
    while (count < capacity && taken != heard) {
        samples[count++] = ring[taken++ % RING];
    }
    return count;
}
