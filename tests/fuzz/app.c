/* The application with its stream and front end around the stub model, on any sequence of requests,
 * lines of text and noise. The input is a list of records: a byte that says what follows.
 *
 *   0xxxxxxx  a good frame of type x: u8 sequence, u16 length, payload
 *   1xxxxxxx  x bytes as they are
 *
 * Each has to be answered within bounds: one frame to a frame, a bounded text to a line. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "board.h"

#define MOST_TEXT 65536 /* of one record; `live` prints a line for each window of the sensor */
#define SENSOR_SAMPLES 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const board_info_t board_info = {.counter_num = 1, .counter_den = 1};

static const uint8_t *waiting;
static size_t left;
static size_t written;
static size_t sampled;

void board_init(void)
{
}

size_t board_read(uint8_t *data, size_t capacity)
{
    const size_t count = left < capacity ? left : capacity;
    if (count > 0) {
        memcpy(data, waiting, count);
        waiting += count;
        left -= count;
    }
    return count;
}

void board_write(const uint8_t *data, size_t length)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        sum = (uint8_t)(sum + data[i]);
    }
    written += length;
}

uint32_t board_counter(void)
{
    static uint32_t counter;
    return counter += 7;
}

size_t board_stack_bytes(void)
{
    return 0;
}

size_t board_stack_used(void)
{
    return 0;
}

const board_sensor_t *board_sensor_start(void)
{
    static const board_sensor_channel_t channel[6] = {{.name = "a", .unit = "g", .lsb_nano = 1}};
    static const board_sensor_t sensor = {
        .rate_millihertz = 100000, .channels = 6, .channel = channel};
    sampled = 0;
    return &sensor;
}

size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    const size_t rest = SENSOR_SAMPLES - sampled;
    const size_t count = rest < capacity ? rest : capacity;
    for (size_t i = 0; i < count * 6; i++) {
        samples[i] = (int16_t)(i * 997 + sampled);
    }
    sampled += count;
    if (count < capacity) {
        *state |= BOARD_SENSOR_ENDED;
    }
    return count;
}

static void feed(app_t *app, const uint8_t *data, size_t size, size_t most)
{
    waiting = data;
    left = size;
    written = 0;
    while (left > 0) {
        app_poll(app);
    }
    assert(written <= most);
}

static uint8_t wire[LINK_MAX_WIRE];
static size_t wire_length;

static void keep(const uint8_t *data, size_t length)
{
    memcpy(&wire[wire_length], data, length);
    wire_length += length;
}

static const uint8_t *take_frame(app_t *app, uint8_t type, const uint8_t *data, const uint8_t *end)
{
    if (end - data < 3) {
        return end;
    }
    link_frame_t frame = {.type = type, .sequence = data[0], .payload = &data[3]};
    const size_t wanted = (size_t)(data[1] | data[2] << 8) % (LINK_MAX_PAYLOAD + 1);
    const size_t rest = (size_t)(end - frame.payload);
    frame.length = (uint16_t)(wanted < rest ? wanted : rest);
    /* what came before may be text, which the frame's first delimiter ends */
    const uint8_t delimiter = 0;
    feed(app, &delimiter, 1, MOST_TEXT);
    wire_length = 0;
    link_send(&frame, NULL, 0, keep);
    feed(app, wire, wire_length, LINK_MAX_WIRE);
    assert(type == LINK_BOOT || written > 0);
    return frame.payload + frame.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static app_t app;
    const uint8_t *const end = data + size;
    memset(&app, 0, sizeof(app));
    app_model_init(&app.model);
    link_receiver_init(&app.receiver);
    while (data < end) {
        const uint8_t what = *data++;
        if (what < 0x80) {
            data = take_frame(&app, what, data, end);
        } else {
            const size_t count = what & 0x7Fu;
            const size_t rest = (size_t)(end - data);
            feed(&app, data, count < rest ? count : rest, MOST_TEXT);
            data += count < rest ? count : rest;
        }
        assert(app_model_canary_intact(&app.model));
    }
    return 0;
}
