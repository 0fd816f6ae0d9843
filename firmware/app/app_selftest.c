/* The golden vectors that were built into the firmware, run on this very device. */
#include <string.h>

#include "app.h"

/* The first output byte that differs from the golden case, or -1. */
static int32_t first_difference(const app_model_t *model, uint32_t golden, uint8_t *got)
{
    int32_t index = 0;
    for (uint32_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        const uint8_t *output = &model->arena[model_outputs[i].offset];
        for (uint32_t j = 0; j < model_outputs[i].bytes; j++, index++) {
            if (output[j] != model_golden_outputs[golden][index]) {
                *got = output[j];
                return index;
            }
        }
    }
    return -1;
}

static void note_failure(link_selftest_t *result, uint32_t golden, int32_t index, uint8_t got)
{
    if (result->failures++ == 0) {
        result->first_case = golden;
        result->first_byte = (uint32_t)index;
        result->expected = model_golden_outputs[golden][index];
        result->got = got;
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
        uint8_t got = 0;
        const int32_t index = first_difference(&app->model, golden, &got);
        if (index >= 0) {
            note_failure(&app->selftest, golden, index, got);
        }
    }
    app_model_reset(&app->model);
}
