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
    memset(model->arena, PAINT, sizeof(model->arena));
    memset(model->canary, PAINT, sizeof(model->canary));
    const uint32_t start = board_counter();
    app_model_reset(model);
    model->start_ticks = board_counter() - start;
}

link_status_t app_model_write(app_model_t *model, const link_offset_t *where, const uint8_t *data,
                              uint32_t count)
{
    if (where->tensor >= MODEL_INPUT_COUNT ||
        !app_in_range(where->offset, count, model_inputs[where->tensor].bytes)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (where->tensor == 0 && where->offset == 0) {
        memset(model->written, 0, sizeof(model->written));
    }
    uint32_t *const written = &model->written[where->tensor];
    if (where->offset > *written) {
        return LINK_STATUS_BAD_STATE;
    }
    memcpy(&model->arena[model_inputs[where->tensor].offset + where->offset], data, count);
    if (where->offset + count > *written) {
        *written = where->offset + count;
    }
    model->has_outputs = false;
    return LINK_STATUS_OK;
}

link_status_t app_model_output(const app_model_t *model, const link_range_t *where,
                               const uint8_t **data)
{
    if (where->tensor >= MODEL_OUTPUT_COUNT ||
        !app_in_range(where->offset, where->count, model_outputs[where->tensor].bytes)) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (!model->has_outputs) {
        return LINK_STATUS_BAD_STATE;
    }
    *data = &model->arena[model_outputs[where->tensor].offset + where->offset];
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
bool app_model_canary_intact(const app_model_t *model)
{
    const volatile uint8_t *canary = model->canary;
    for (size_t i = 0; i < APP_CANARY_BYTES; i++) {
        if (canary[i] != PAINT) {
            return false;
        }
    }
    return true;
}

static link_status_t outcome(const app_model_t *model)
{
    if (APP_MODEL_PROBLEM != NULL) {
        return LINK_STATUS_NO_ENGINE;
    }
    return app_model_canary_intact(model) ? LINK_STATUS_OK : LINK_STATUS_ARENA_OVERRUN;
}

link_status_t app_model_invoke(app_model_t *model, uint32_t *ticks)
{
    if (!has_inputs(model)) {
        return LINK_STATUS_BAD_STATE;
    }
    forget_case(model);
    const uint32_t start = board_counter();
    model_invoke(model->arena);
    *ticks = board_counter() - start;
    model->has_outputs = APP_MODEL_PROBLEM == NULL;
    return outcome(model);
}

link_status_t app_model_run_to(app_model_t *model, uint32_t last, app_on_step_t *on_step,
                               void *context)
{
    const uint32_t step_count = MODEL_STEP_COUNT; /* 0: only shapes change */
    if (last >= step_count) {
        return LINK_STATUS_BAD_ARGUMENT;
    }
    if (!has_inputs(model)) {
        return LINK_STATUS_BAD_STATE;
    }
    app_model_sum_inputs(model);
    forget_case(model);
    for (uint32_t step = 0; step <= last; step++) {
        const uint32_t start = board_counter();
        model_step(model->arena, (int32_t)step);
        const uint32_t ticks = board_counter() - start;
        on_step(context, step, ticks);
    }
    model->has_outputs = last == step_count - 1U && APP_MODEL_PROBLEM == NULL;
    return outcome(model);
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

uint32_t app_model_arena_used(const app_model_t *model)
{
#ifdef MODEL_INTERPRETED /* it plans from both ends, so every byte was written */
    (void)model;
    return model_arena_used();
#else
    const uint8_t *end = &model->arena[MODEL_ARENA_BYTES];
    while (end > model->arena && end[-1] == PAINT) {
        end--;
    }
    return (uint32_t)(end - model->arena);
#endif
}
