/* Answers frames: one handler per message, chosen from a table. */
#include <string.h>

#include "app.h"
#include "board.h"

/* Copy a text or as much of it as fits; the rest of the field stays as it is. */
static void copy_text(char *field, size_t capacity, const char *text)
{
    for (size_t i = 0; i < capacity && text[i] != '\0'; i++) {
        field[i] = text[i];
    }
}

static void put_u32(app_t *app, link_frame_t *reply, uint32_t value)
{
    app->payload.words[reply->length / sizeof(value)] = value;
    reply->length = (uint16_t)(reply->length + sizeof(value));
}

static link_status_t on_hello(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_hello_t *hello = &app->payload.hello;
    (void)request;
    memset(hello, 0, sizeof(*hello));
    hello->protocol_version = LINK_PROTOCOL_VERSION;
    hello->max_payload = LINK_MAX_PAYLOAD;
    hello->input_count = MODEL_INPUT_COUNT;
    hello->output_count = MODEL_OUTPUT_COUNT;
    hello->step_count = MODEL_STEP_COUNT;
    hello->arena_bytes = MODEL_ARENA_BYTES;
    hello->arena_used = app_model_arena_used(&app->model);
    hello->stack_bytes = (uint32_t)board_stack_bytes();
    hello->stack_used = (uint32_t)board_stack_used();
    hello->counter_num = board_info.counter_num;
    hello->counter_den = board_info.counter_den;
    hello->golden_count = MODEL_GOLDEN_COUNT;
    hello->receive_bytes = board_info.receive_bytes;
    memcpy(hello->model_sha256, model_sha256, sizeof(hello->model_sha256));
    copy_text(hello->model_name, sizeof(hello->model_name), MODEL_NAME);
    copy_text(hello->board_id, sizeof(hello->board_id), board_info.id);
    copy_text(hello->run_id, sizeof(hello->run_id), MODEL_RUN_ID);
    copy_text(hello->version, sizeof(hello->version), MODEL_TOOL_VERSION);
    copy_text(hello->kernels, sizeof(hello->kernels), IMAGE_KERNELS);
    copy_text(hello->framework, sizeof(hello->framework), IMAGE_FRAMEWORK);
    copy_text(hello->engine, sizeof(hello->engine), IMAGE_ENGINE);
    reply->length = sizeof(*hello);
    for (size_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        put_u32(app, reply, model_inputs[i].bytes);
    }
    for (size_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        put_u32(app, reply, model_outputs[i].bytes);
    }
    return LINK_STATUS_OK;
}
_Static_assert(sizeof(link_hello_t) + 4 * (MODEL_INPUT_COUNT + MODEL_OUTPUT_COUNT) <=
                   LINK_MAX_PAYLOAD,
               "too many tensors for one HELLO");

static bool is_payload(uint32_t count)
{
    return count > 0 && count <= LINK_MAX_PAYLOAD;
}

static link_status_t on_write_input(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_offset_t where;
    (void)reply;
    memcpy(&where, request->payload, sizeof(where));
    return app_model_write(&app->model, &where, &request->payload[sizeof(where)],
                           request->length - (uint32_t)sizeof(where));
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

static link_status_t on_invoke(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    app_model_sum_inputs(&app->model);
    put_u32(app, reply, app->model.inputs_crc);
    reply->length = 2 * sizeof(uint32_t);
    return app_infer(app, &app->payload.words[1]);
}

static link_status_t on_read_output(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_range_t where;
    memcpy(&where, request->payload, sizeof(where));
    reply->length = (uint16_t)where.count;
    return is_payload(where.count) ? app_model_output(&app->model, &where, &reply->payload)
                                   : LINK_STATUS_BAD_ARGUMENT;
}

static link_status_t on_selftest(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    app_selftest(app);
    reply->payload = (const uint8_t *)&app->selftest;
    reply->length = sizeof(app->selftest);
    return app->selftest_status;
}

typedef struct {
    app_t *app;
    link_frame_t *reply;
    link_pair_t steps;
} profile_t;

static void keep_ticks(void *context, uint32_t step, uint32_t ticks)
{
    const profile_t *profile = context;
    if (step >= profile->steps.first && step - profile->steps.first < profile->steps.count) {
        put_u32(profile->app, profile->reply, ticks);
    }
}

/* The CRC of the inputs comes before the ticks that `profile`, if there is one, adds. */
static link_status_t run_to(app_t *app, link_frame_t *reply, uint32_t last, profile_t *profile)
{
    app_on_step_t *const on_step = profile != NULL ? keep_ticks : NULL;
    reply->length = sizeof(uint32_t);
    const link_status_t status = app_model_run_to(&app->model, last, on_step, profile);
    app->payload.words[0] = app->model.inputs_crc;
    return status;
}

static link_status_t on_profile(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    profile_t profile = {.app = app, .reply = reply};
    memcpy(&profile.steps, request->payload, sizeof(profile.steps));
    const link_pair_t *const steps = &profile.steps;
    if (steps->count == 0 || steps->count > LINK_MAX_TICKS ||
        !app_in_range(steps->first, steps->count, MODEL_STEP_COUNT)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    return run_to(app, reply, MODEL_STEP_COUNT - 1U, &profile);
}

static link_status_t on_run_to(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    uint32_t last;
    memcpy(&last, request->payload, sizeof(last));
    return run_to(app, reply, last, NULL);
}

static link_status_t on_read_arena(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_pair_t where;
    memcpy(&where, request->payload, sizeof(where));
    if (!is_payload(where.count) || !app_in_range(where.first, where.count, MODEL_ARENA_BYTES)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    reply->payload = &app->model.arena[where.first];
    reply->length = (uint16_t)where.count;
    return LINK_STATUS_OK;
}

#ifdef MODEL_INTERPRETED
static link_status_t on_place(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    link_pair_t what;
    memcpy(&what, request->payload, sizeof(what));
    const bool input = what.first == LINK_PLACE_INPUT;
    uint32_t place = UINT32_MAX;
    if (APP_MODEL_PROBLEM != NULL) {
        return LINK_STATUS_NO_ENGINE;
    }
    if (what.first == LINK_PLACE_STEP) {
        place = model_written_at(what.count);
    } else if (what.first <= LINK_PLACE_OUTPUT &&
               what.count < (input ? MODEL_INPUT_COUNT : MODEL_OUTPUT_COUNT)) {
        place = (input ? model_inputs : model_outputs)[what.count].offset;
    }
    if (place >= MODEL_ARENA_BYTES) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    put_u32(app, reply, place);
    return LINK_STATUS_OK;
}
#endif

static link_status_t on_reset(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)request;
    (void)reply;
    app_model_reset(&app->model);
    return LINK_STATUS_OK;
}

/* The board resets behind the reply, see app_service_frame. */
static link_status_t on_boot(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    (void)app;
    (void)request;
    (void)reply;
    return board_has_boot_loader() ? LINK_STATUS_OK : LINK_STATUS_BAD_TYPE;
}

__attribute__((weak)) bool board_has_boot_loader(void)
{
    return false;
}

__attribute__((weak)) void board_enter_boot_loader(void)
{
}

#if APP_DRIFT
_Static_assert(sizeof(link_drift_t) + sizeof(((app_t *)0)->drift.counts) <= LINK_MAX_PAYLOAD,
               "too many tests for one DRIFT");

static link_status_t on_drift(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    uint32_t reset;
    memcpy(&reset, request->payload, sizeof(reset));
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

typedef struct {
    uint8_t type;
    uint8_t min_length; /* of the request's payload */
    uint16_t max_length;
    app_handler_t *handler;
} message_t;

static link_status_t serve(app_t *app, const link_frame_t *request, link_frame_t *reply)
{
    static const message_t messages[] = {
        {LINK_HELLO, 0, 0, on_hello},
        {LINK_WRITE_INPUT, sizeof(link_offset_t) + 1, LINK_MAX_PAYLOAD, on_write_input},
        {LINK_INVOKE, 0, 0, on_invoke},
        {LINK_READ_OUTPUT, sizeof(link_range_t), sizeof(link_range_t), on_read_output},
        {LINK_SELFTEST, 0, 0, on_selftest},
        {LINK_PROFILE, sizeof(link_pair_t), sizeof(link_pair_t), on_profile},
        {LINK_RUN_TO, sizeof(uint32_t), sizeof(uint32_t), on_run_to},
        {LINK_READ_ARENA, sizeof(link_pair_t), sizeof(link_pair_t), on_read_arena},
        {LINK_RESET, 0, 0, on_reset},
        {LINK_BOOT, 0, 0, on_boot},
#ifdef MODEL_INTERPRETED
        {LINK_PLACE, sizeof(link_pair_t), sizeof(link_pair_t), on_place},
#endif
#if MODEL_FEATURES
        {LINK_SAMPLES, sizeof(link_samples_t) + 2, LINK_MAX_PAYLOAD, app_on_samples},
        {LINK_RECORD, sizeof(link_record_t), sizeof(link_record_t), app_on_record},
#endif
#if APP_DRIFT
        {LINK_DRIFT, sizeof(uint32_t), sizeof(uint32_t), on_drift},
#endif
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        const message_t *message = &messages[i];
        if (message->type == request->type) {
            return request->length < message->min_length || request->length > message->max_length
                       ? LINK_STATUS_BAD_LENGTH
                       : message->handler(app, request, reply);
        }
    }
    return LINK_STATUS_BAD_TYPE;
}

static void send(app_t *app, link_frame_t *reply, link_status_t status)
{
    reply->status = (uint8_t)status;
    if (status != LINK_STATUS_OK) {
        reply->length = 0;
    }
    board_write(app->wire, link_encode(reply, app->wire));
}

void app_service_frame(app_t *app, const link_frame_t *request)
{
    link_frame_t reply = {
        .type = request->type | LINK_REPLY,
        .sequence = request->sequence,
        .payload = app->payload.bytes,
    };
    const link_status_t status =
        link_in_order(&app->order, request) ? serve(app, request, &reply) : LINK_STATUS_STALE;
    send(app, &reply, status);
    if (request->type == LINK_BOOT && status == LINK_STATUS_OK) {
        board_enter_boot_loader();
    }
}

void app_service_damage(app_t *app, link_status_t status)
{
    send(app, &(link_frame_t){.type = LINK_ERROR}, status);
}
