/* Answers frames: one handler per message. */
#include <string.h>

#include "app.h"
#include "board.h"

/* A number of the request's payload. */
static uint32_t word(const uint8_t *data, size_t index)
{
    uint32_t value;
    memcpy(&value, &data[index * sizeof(value)], sizeof(value));
    return value;
}

static link_status_t on_hello(app_t *app, link_frame_t *reply)
{
    reply->length = (uint16_t)app_hello(&app->model, &app->payload.hello);
    return LINK_STATUS_OK;
}

#if APP_DRIFT
link_status_t app_infer(app_t *app, uint32_t *ticks)
{
    drift_look(&app->drift, (const int8_t *)&app->model.arena[model_inputs[0].offset]);
    const link_status_t status = app_model_invoke(&app->model, ticks);
    if (status == LINK_STATUS_OK) {
        drift_count(&app->drift, (const int8_t *)&app->model.arena[model_outputs[0].offset]);
    }
    return status;
}
#endif

/* The CRC of the inputs comes before the ticks. */
static uint32_t *put_inputs_crc(app_t *app)
{
    app_model_sum_inputs(&app->model);
    app->payload.words[0] = app->model.inputs_crc;
    return &app->payload.words[1];
}

static link_status_t on_invoke(app_t *app, link_frame_t *reply)
{
    reply->length = 2 * sizeof(uint32_t);
    return app_infer(app, put_inputs_crc(app));
}

/* READ_ARENA asks for bytes of the arena, READ_OUTPUT for bytes of a tensor in it. */
static link_status_t on_read(const app_t *app, link_frame_t *reply, const uint8_t *data)
{
    link_status_t status = LINK_STATUS_OK;
    model_tensor_t from = {.bytes = MODEL_ARENA_BYTES};
    if (reply->type == LINK_READ_OUTPUT) {
        const uint32_t tensor = data[0];
        if (tensor >= MODEL_OUTPUT_COUNT) {
            return LINK_STATUS_BAD_ARGUMENT;
        }
        from = model_outputs[tensor];
        status = app->model.has_outputs ? LINK_STATUS_OK : LINK_STATUS_BAD_STATE;
        data += offsetof(link_range_t, offset);
    }
    const uint32_t first = word(data, 0);
    const uint32_t count = word(data, 1);
    if (count - 1U >= LINK_MAX_PAYLOAD || !app_in_range(first, count, from.bytes)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    reply->payload = &app->model.arena[from.offset + first];
    reply->length = (uint16_t)count;
    return status;
}

#if APP_GOLDEN
static link_status_t on_selftest(app_t *app, link_frame_t *reply)
{
    app_selftest(app);
    reply->payload = (const uint8_t *)&app->selftest;
    reply->length = sizeof(app->selftest);
    return app->selftest_status;
}
#endif

#if APP_LAYERS
/* PROFILE runs all steps and tells the ticks of some, RUN_TO ends with one and tells none. */
static link_status_t on_steps(app_t *app, link_frame_t *reply, const uint8_t *data)
{
    const uint32_t first = word(data, 0);
    const bool profile = reply->type == LINK_PROFILE;
    const uint32_t count = profile ? word(data, 1) : 1;
    if (count - 1U >= LINK_MAX_TICKS || !app_in_range(first, count, MODEL_STEP_COUNT)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    const uint32_t last = profile ? MODEL_STEP_COUNT - 1U : first;
    reply->length = (uint16_t)(sizeof(count) * (profile ? 1 + count : 1));
    uint32_t *next = put_inputs_crc(app);
    const link_status_t status = app_model_begin(&app->model);
    if (status != LINK_STATUS_OK) {
        return status;
    }
    for (uint32_t step = 0; step <= last; step++) {
        const uint32_t ticks = app_model_time_step(&app->model, step);
        if (step - first < count) {
            *next++ = ticks;
        }
    }
    return app_model_end(&app->model, last);
}
#endif

#if defined(MODEL_INTERPRETED) && APP_LAYERS
static link_status_t on_place(app_t *app, link_frame_t *reply, const uint8_t *data)
{
    const uint32_t kind = word(data, 0);
    const uint32_t index = word(data, 1);
    const bool input = kind == LINK_PLACE_INPUT;
    uint32_t place = UINT32_MAX;
    if (APP_MODEL_PROBLEM != NULL) {
        return LINK_STATUS_NO_ENGINE;
    }
    if (kind == LINK_PLACE_STEP) {
        place = model_written_at(index);
    } else if (kind <= LINK_PLACE_OUTPUT &&
               index < (input ? MODEL_INPUT_COUNT : MODEL_OUTPUT_COUNT)) {
        place = (input ? model_inputs : model_outputs)[index].offset;
    }
    if (place >= MODEL_ARENA_BYTES) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    app->payload.words[0] = place;
    reply->length = sizeof(place);
    return LINK_STATUS_OK;
}
#endif

static link_status_t on_reset(app_t *app)
{
    app_model_reset(&app->model);
    return LINK_STATUS_OK;
}

__attribute__((weak)) bool board_has_boot_loader(void)
{
    return false;
}

/* The board resets behind the reply, see app_main.c. */
static link_status_t on_boot(void)
{
    return board_has_boot_loader() ? LINK_STATUS_OK : LINK_STATUS_BAD_TYPE;
}

#if APP_DRIFT
_Static_assert(sizeof(link_drift_t) + sizeof(((app_t *)0)->drift.counts) <= LINK_MAX_PAYLOAD,
               "too many tests for one DRIFT");

static link_status_t on_drift(app_t *app, link_frame_t *reply, const uint8_t *data)
{
    const uint32_t reset = word(data, 0);
    if (reset > 1) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (reset == 1) {
        memset(&app->drift, 0, sizeof(app->drift));
    }
    const link_drift_t head = {
        .profile = DRIFT_PROFILE,
        .windows = app->drift.windows,
        .tests = DRIFT_TESTS,
        .bins = DRIFT_BINS,
        .classes = DRIFT_CLASSES,
    };
    memcpy(app->payload.bytes, &head, sizeof(head));
    memcpy(&app->payload.bytes[sizeof(head)], app->drift.counts, sizeof(app->drift.counts));
    reply->length = sizeof(head) + sizeof(app->drift.counts);
    return LINK_STATUS_OK;
}
#endif

link_status_t app_service(app_t *app, link_frame_t *reply, const uint8_t *data, uint32_t length)
{
    switch (reply->type) {
    case LINK_HELLO:
        return length == 0 ? on_hello(app, reply) : LINK_STATUS_BAD_LENGTH;
    case LINK_WRITE_INPUT:
        return length > sizeof(link_offset_t) ? app_model_write(&app->model, data, length)
                                              : LINK_STATUS_BAD_LENGTH;
    case LINK_INVOKE:
        return length == 0 ? on_invoke(app, reply) : LINK_STATUS_BAD_LENGTH;
    case LINK_READ_OUTPUT:
        return length == sizeof(link_range_t) ? on_read(app, reply, data) : LINK_STATUS_BAD_LENGTH;
    case LINK_RESET:
        return length == 0 ? on_reset(app) : LINK_STATUS_BAD_LENGTH;
    case LINK_BOOT:
        return length == 0 ? on_boot() : LINK_STATUS_BAD_LENGTH;
#if APP_GOLDEN
    case LINK_SELFTEST:
        return length == 0 ? on_selftest(app, reply) : LINK_STATUS_BAD_LENGTH;
#endif
#if APP_LAYERS
    case LINK_PROFILE:
        return length == sizeof(link_pair_t) ? on_steps(app, reply, data) : LINK_STATUS_BAD_LENGTH;
    case LINK_RUN_TO:
        return length == sizeof(uint32_t) ? on_steps(app, reply, data) : LINK_STATUS_BAD_LENGTH;
#ifdef MODEL_INTERPRETED
    case LINK_PLACE:
        return length == sizeof(link_pair_t) ? on_place(app, reply, data) : LINK_STATUS_BAD_LENGTH;
#endif
#endif
#if APP_LAYERS || APP_STREAM
    case LINK_READ_ARENA:
        return length == sizeof(link_pair_t) ? on_read(app, reply, data) : LINK_STATUS_BAD_LENGTH;
#endif
#if APP_STREAM
    case LINK_SAMPLES:
        return length > sizeof(link_samples_t) + 1 ? app_on_samples(app, reply, data, length)
                                                   : LINK_STATUS_BAD_LENGTH;
    case LINK_RECORD:
        return length == sizeof(link_record_t) ? app_on_record(app, reply, data, length)
                                               : LINK_STATUS_BAD_LENGTH;
#endif
#if APP_DRIFT
    case LINK_DRIFT:
        return length == sizeof(uint32_t) ? on_drift(app, reply, data) : LINK_STATUS_BAD_LENGTH;
#endif
    default:
        return LINK_STATUS_BAD_TYPE;
    }
}
