/* LINK_RECORD: raw samples of the board's sensor. What was sent last is kept until the host asks
 * for what follows it, so a reply that gets lost loses no sample. */
#include <string.h>

#include "app.h"
#include "board.h"

#define CAPACITY ((LINK_MAX_PAYLOAD - sizeof(link_take_t)) / sizeof(int16_t))

typedef struct {
    const board_sensor_t *sensor; /* NULL before the first start */
    uint32_t count;               /* samples in `last` */
    struct {
        link_take_t head;
        int16_t samples[CAPACITY];
    } last;
} record_t;

_Static_assert(sizeof(board_sensor_channel_t) == sizeof(link_channel_t), "copied as it is");
_Static_assert(sizeof(link_sensor_t) + BOARD_SENSOR_CHANNELS * sizeof(link_channel_t) <=
                   LINK_MAX_PAYLOAD,
               "the description fits one reply");

__attribute__((weak)) const board_sensor_t *board_sensor_start(void)
{
    return NULL;
}

__attribute__((weak)) size_t board_sensor_read(int16_t *samples, size_t capacity, uint32_t *state)
{
    (void)samples;
    (void)capacity;
    *state |= BOARD_SENSOR_ENDED;
    return 0;
}

static link_status_t start(record_t *record, app_t *app, link_frame_t *reply)
{
    memset(record, 0, sizeof(*record));
    record->sensor = board_sensor_start();
    if (record->sensor == NULL) {
        return LINK_STATUS_BAD_STATE;
    }
    const link_sensor_t head = {
        .rate_millihertz = record->sensor->rate_millihertz,
        .channels = record->sensor->channels,
    };
    const size_t bytes = head.channels * sizeof(link_channel_t);
    memcpy(app->payload.bytes, &head, sizeof(head));
    memcpy(&app->payload.bytes[sizeof(head)], record->sensor->channel, bytes);
    reply->length = (uint16_t)(sizeof(head) + bytes);
    return LINK_STATUS_OK;
}

static link_status_t read_on(record_t *record, uint32_t next, link_frame_t *reply)
{
    link_take_t *head = &record->last.head;
    if (record->sensor == NULL) {
        return LINK_STATUS_BAD_STATE;
    }
    const uint32_t channels = record->sensor->channels;
    if (next == head->first + record->count) {
        head->first = next;
        record->count =
            (uint32_t)board_sensor_read(record->last.samples, CAPACITY / channels, &head->state);
    } else if (next != head->first) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    reply->payload = (const uint8_t *)&record->last;
    reply->length = (uint16_t)(sizeof(*head) + record->count * channels * sizeof(int16_t));
    return LINK_STATUS_OK;
}

link_status_t app_on_record(app_t *app, link_frame_t *reply, const uint8_t *data, uint32_t length)
{
    static record_t record;
    link_record_t what;
    (void)length;
    memcpy(&what, data, sizeof(what));
    if (what.start > 1) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    return what.start == 1 ? start(&record, app, reply) : read_on(&record, what.next, reply);
}
