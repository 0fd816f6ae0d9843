/* Inference on a stream of raw samples; linked with a front end only. */
#ifndef APP_STREAM_H
#define APP_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"

typedef struct {
    uint32_t mode;          /* of the stream: LINK_TRACE or 0 */
    uint32_t pushed;        /* samples so far */
    uint32_t inputs;        /* completed so far */
    uint32_t feature_ticks; /* for the samples since the last completed input */
    fe_trace_t trace;
    int16_t features[MODEL_FE_COUNT];
    _Alignas(8) uint8_t state[MODEL_FE_STATE_BYTES];
} app_stream_t;

_Static_assert(MODEL_INPUT_COUNT == 1 && MODEL_FE_COUNT == MODEL_GOLDEN_INPUT_BYTES,
               "a front end makes one int8 input");

/* Front end and model start from nothing. */
void app_stream_begin(app_stream_t *stream, app_t *app, uint32_t mode);

/* Take one sample of all channels; true when a network input lies in the arena, ready to run. */
bool app_stream_push(app_stream_t *stream, app_t *app, const int16_t *sample);

/* The stream of this firmware. */
app_stream_t *app_stream(void);

#endif
