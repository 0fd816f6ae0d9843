/* LINK_SAMPLES: raw samples go in, inferences come out. */
#include "app_stream.h"

#include <string.h>

#include "board.h"

#define SAMPLE_BYTES (MODEL_FE_CHANNELS * sizeof(int16_t))
#define OUTPUT_BYTES                                                                               \
    (MODEL_GOLDEN_OUTPUT_BYTES < LINK_MAX_STREAM_OUTPUT ? MODEL_GOLDEN_OUTPUT_BYTES                \
                                                        : LINK_MAX_STREAM_OUTPUT)
#define INFERENCE_BYTES (sizeof(link_inference_t) + sizeof(fe_trace_t) + OUTPUT_BYTES)

_Static_assert(sizeof(link_inferences_t) + INFERENCE_BYTES <= LINK_MAX_PAYLOAD, "one always fits");

app_stream_t *app_stream(void)
{
    static app_stream_t stream;
    return &stream;
}

void app_stream_begin(app_stream_t *stream, app_t *app, uint32_t mode)
{
    stream->mode = mode;
    stream->pushed = 0;
    stream->inputs = 0;
    stream->feature_ticks = 0;
    app_model_reset(&app->model);
    fe_reset(&model_features, stream->state);
    fe_trace(stream->state, mode == LINK_TRACE ? &stream->trace : NULL);
}

bool app_stream_push(app_stream_t *stream, app_t *app, const int16_t *sample)
{
    const uint32_t start = board_counter();
    const bool complete = fe_push(&model_features, stream->state, sample, stream->features);
    stream->pushed++;
    if (complete) {
        app_model_reset(&app->model); /* no window goes on from the state of another */
        int8_t *input = app_model_fill(&app->model);
        fe_quantise(stream->features, MODEL_FE_COUNT, MODEL_FE_MULTIPLIER, MODEL_FE_SHIFT,
                    MODEL_FE_ZERO_POINT, input);
        if (stream->mode == LINK_TRACE) {
            fe_trace_add(&stream->trace, FE_STAGE_INPUT, input, MODEL_FE_COUNT);
        }
        stream->inputs++;
    }
    stream->feature_ticks += board_counter() - start;
    return complete;
}

static void put(app_t *app, link_frame_t *reply, const void *data, size_t bytes)
{
    memcpy(&app->payload.bytes[reply->length], data, bytes);
    reply->length = (uint16_t)(reply->length + bytes);
}

/* Run the model on the input that is complete, unless it is held, and add it to the reply. */
static link_status_t add_inference(app_stream_t *stream, app_t *app, uint32_t mode,
                                   link_frame_t *reply)
{
    link_inference_t done = {
        .index = stream->inputs - 1,
        .feature_ticks = stream->feature_ticks,
    };
    link_status_t status = LINK_STATUS_OK;
    stream->feature_ticks = 0;
    if ((mode & LINK_HOLD) == 0) {
        status = app_infer(app, &done.invoke_ticks);
    }
    put(app, reply, &done, sizeof(done));
    put(app, reply, stream->trace.hash, (mode & LINK_TRACE) != 0 ? sizeof(fe_trace_t) : 0);
    size_t left = (mode & LINK_HOLD) != 0 ? 0 : OUTPUT_BYTES;
    for (uint32_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        const size_t bytes = model_outputs[i].bytes < left ? model_outputs[i].bytes : left;
        put(app, reply, &app->model.arena[model_outputs[i].offset], bytes);
        left -= bytes;
    }
    return status;
}

/* Whether all that `count` samples can complete fits: one held input, or the inferences' replies.
 */
static bool fits(uint32_t count, uint32_t mode)
{
    const uint32_t most = (count + MODEL_FE_HOP - 1) / MODEL_FE_HOP;
    if ((mode & LINK_HOLD) != 0) {
        return most <= 1;
    }
    return most * INFERENCE_BYTES <= LINK_MAX_PAYLOAD - sizeof(link_inferences_t);
}

link_status_t app_on_samples(app_t *app, link_frame_t *reply, const uint8_t *data, uint32_t length)
{
    app_stream_t *stream = app_stream();
    link_samples_t head;
    int16_t sample[MODEL_FE_CHANNELS];
    memcpy(&head, data, sizeof(head));
    data += sizeof(head);
    const uint32_t bytes = length - (uint32_t)sizeof(head);
    const uint32_t count = bytes / SAMPLE_BYTES;
    if (bytes % SAMPLE_BYTES != 0 || head.mode > (LINK_HOLD | LINK_TRACE) ||
        !fits(count, head.mode)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (head.first == 0) {
        app_stream_begin(stream, app, head.mode & LINK_TRACE);
    } else if (head.first != stream->pushed || (head.mode & LINK_TRACE) != stream->mode) {
        return LINK_STATUS_BAD_STATE;
    }
    link_inferences_t made = {.stages = stream->mode == LINK_TRACE ? FE_STAGES : 0};
    link_status_t status = LINK_STATUS_OK;
    reply->length = sizeof(made);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(sample, &data[i * SAMPLE_BYTES], SAMPLE_BYTES);
        if (app_stream_push(stream, app, sample)) {
            const link_status_t ended = add_inference(stream, app, head.mode, reply);
            status = ended == LINK_STATUS_OK ? status : ended;
            made.count++;
        }
    }
    memcpy(app->payload.bytes, &made, sizeof(made));
    return status;
}
