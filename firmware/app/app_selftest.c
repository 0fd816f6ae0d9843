/* The golden vectors that were built into the firmware, run on this very device. */
#include "app.h"

/* Compare the outputs with the golden case; `result` keeps the first difference of all cases. */
static void compare(const app_model_t *model, uint32_t golden, link_selftest_t *result)
{
    const uint8_t *expected = model_golden_outputs[golden];
    for (uint32_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        const uint8_t *output = &model->arena[model_outputs[i].offset];
        for (uint32_t left = model_outputs[i].bytes; left > 0; left--) {
            const uint32_t wanted = *expected++;
            const uint32_t got = *output++;
            if (wanted == got) {
                continue;
            }
            if (result->failures++ == 0) {
                result->first_case = golden;
                result->first_byte = (uint32_t)(expected - model_golden_outputs[golden]) - 1U;
                result->expected = wanted;
                result->got = got;
            }
            return;
        }
    }
}

void app_selftest(app_t *app)
{
    app->selftest = (link_selftest_t){.cases = MODEL_GOLDEN_COUNT};
    app->selftest_status = LINK_STATUS_OK;
    for (uint32_t golden = 0; golden < MODEL_GOLDEN_COUNT; golden++) {
        uint32_t ticks;
        app_model_load_golden(&app->model, golden);
        const link_status_t status = app_model_invoke(&app->model, &ticks);
        if (status != LINK_STATUS_OK) {
            app->selftest_status = status;
        }
        compare(&app->model, golden, &app->selftest);
    }
    app_model_reset(&app->model);
}
