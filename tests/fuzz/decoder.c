/* Any bytes through the receiver. A frame that it takes has to be one that encodes to what it came
 * from, and everything that it points to has to be there. */
#include <assert.h>
#include <string.h>

#include "link_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t wire[LINK_MAX_WIRE];
static size_t wire_length;

static void keep(const uint8_t *data, size_t length)
{
    assert(length <= sizeof(wire) - wire_length);
    memcpy(&wire[wire_length], data, length);
    wire_length += length;
}

/* The stuffing of a frame is unique, so the bytes between the delimiters are. */
static void check_frame(const link_frame_t *frame, const uint8_t *raw, size_t length)
{
    assert(frame->length <= LINK_MAX_PAYLOAD);
    wire_length = 0;
    link_send(frame, NULL, 0, keep);
    assert(wire_length == length + 2);
    assert(memcmp(&wire[1], raw, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static link_receiver_t receiver;
    size_t start = 0;
    link_receiver_init(&receiver);
    for (size_t i = 0; i < size; i++) {
        const link_event_t event = link_receive(&receiver, data[i]);
        if (event == LINK_EVENT_FRAME) {
            check_frame(&receiver.frame, &data[start], i - start);
        } else if (event == LINK_EVENT_TEXT) {
            assert(strlen((const char *)receiver.bytes) == i - start);
        } else if (event == LINK_EVENT_DAMAGE) {
            assert(receiver.status >= LINK_STATUS_BAD_FRAME &&
                   receiver.status <= LINK_STATUS_TOO_LONG);
        }
        if (event != LINK_EVENT_NONE || receiver.length == 0) {
            start = i + 1;
        }
    }
    return 0;
}
