#include "app_model.h"

#include <stddef.h>
#include <string.h>

#include "board.h"
#include "link_frame.h"

#define PAINT 0xA5

_Static_assert(MODEL_GOLDEN_COUNT > 0, "the self-test needs at least one golden vector");
_Static_assert(offsetof(app_model_t, canary) == offsetof(app_model_t, arena) + MODEL_ARENA_BYTES,
               "the canary follows the arena");

void app_model_init(app_model_t *model)
{
    uint8_t *const end = &model->canary[APP_CANARY_BYTES];
    memset(model->arena, PAINT, (size_t)(end - model->arena));
    const uint32_t start = board_counter();
    app_model_reset(model);
    model->start_ticks = board_counter() - start;
}

link_status_t app_model_write(app_model_t *model, const uint8_t *payload, uint32_t bytes)
{
    const uint32_t tensor = payload[offsetof(link_offset_t, tensor)];
    const uint32_t count = bytes - (uint32_t)sizeof(link_offset_t);
    uint32_t offset;
    memcpy(&offset, &payload[offsetof(link_offset_t, offset)], sizeof(offset));
    if (tensor >= MODEL_INPUT_COUNT || !app_in_range(offset, count, model_inputs[tensor].bytes)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (tensor == 0 && offset == 0) {
        memset(model->written, 0, sizeof(model->written));
    }
    uint32_t *const written = &model->written[tensor];
    if (offset > *written) {
        return LINK_STATUS_BAD_STATE;
    }
    memcpy(&model->arena[model_inputs[tensor].offset + offset], &payload[sizeof(link_offset_t)],
           count);
    if (offset + count > *written) {
        *written = offset + count;
    }
    model->has_outputs = false;
    return LINK_STATUS_OK;
}

static void forget_case(app_model_t *model)
{
    memset(model->written, 0, sizeof(model->written));
    model->has_outputs = false;
}

int8_t *app_model_fill(app_model_t *model)
{
    forget_case(model);
    model->written[0] = model_inputs[0].bytes;
    return (int8_t *)&model->arena[model_inputs[0].offset];
}

void app_model_reset(app_model_t *model)
{
    forget_case(model);
    model->inputs_crc = 0;
    model_reset(model->arena);
}

static bool has_inputs(const app_model_t *model)
{
    for (uint32_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        if (model->written[i] != model_inputs[i].bytes) {
            return false;
        }
    }
    return true;
}

void app_model_sum_inputs(app_model_t *model)
{
    for (uint32_t i = 0; has_inputs(model) && i < MODEL_INPUT_COUNT; i++) {
        const model_tensor_t *const input = &model_inputs[i];
        model->inputs_crc =
            link_crc32(model->inputs_crc, &model->arena[input->offset], input->bytes);
    }
}

/* Through a volatile pointer: the compiler must not assume that only the arena was written. */
uint32_t app_model_written(const app_model_t *model, uint32_t end)
{
    const volatile uint8_t *arena = model->arena;
    while (end > 0 && arena[end - 1U] == PAINT) {
        end--;
    }
    return end;
}

bool app_model_canary_intact(const app_model_t *model)
{
    return app_model_written(model, MODEL_ARENA_BYTES + APP_CANARY_BYTES) <= MODEL_ARENA_BYTES;
}

link_status_t app_model_begin(app_model_t *model)
{
    if (!has_inputs(model)) {
        return LINK_STATUS_BAD_STATE;
    }
    forget_case(model);
    return LINK_STATUS_OK;
}

uint32_t app_model_time_step(app_model_t *model, uint32_t step)
{
    const uint32_t start = board_counter();
    model_step(model->arena, (int32_t)step);
    return board_counter() - start;
}

link_status_t app_model_end(app_model_t *model, uint32_t last)
{
    if (APP_MODEL_PROBLEM != NULL) {
        return LINK_STATUS_NO_ENGINE;
    }
    model->has_outputs = last == MODEL_STEP_COUNT - 1U;
    return app_model_canary_intact(model) ? LINK_STATUS_OK : LINK_STATUS_ARENA_OVERRUN;
}

link_status_t app_model_invoke(app_model_t *model, uint32_t *ticks)
{
    const link_status_t status = app_model_begin(model);
    if (status != LINK_STATUS_OK) {
        return status;
    }
    const uint32_t start = board_counter();
    model_invoke(model->arena);
    *ticks = board_counter() - start;
    return app_model_end(model, MODEL_STEP_COUNT - 1U);
}

void app_model_load_golden(app_model_t *model, uint32_t golden)
{
#if APP_GOLDEN
    const uint8_t *data = model_golden_inputs[golden];
#endif
    app_model_reset(model);
    for (uint32_t i = 0; i < MODEL_INPUT_COUNT; i++) {
#if APP_GOLDEN
        memcpy(&model->arena[model_inputs[i].offset], data, model_inputs[i].bytes);
        data += model_inputs[i].bytes;
#else
        (void)golden;
        memset(&model->arena[model_inputs[i].offset], 0, model_inputs[i].bytes);
#endif
        model->written[i] = model_inputs[i].bytes;
    }
}
