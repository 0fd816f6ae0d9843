/* The cost of an inference, in total and by step. */
#include "app.h"
#include "board.h"

#define INPUTS (APP_GOLDEN ? MODEL_GOLDEN_COUNT : 1)

/* The quotient and the remainder are scaled apart, so that 32 bits do. */
uint32_t app_counts(uint32_t ticks)
{
    const uint32_t num = board_info.counter_num;
    const uint32_t den = board_info.counter_den;
    const uint32_t quotient = ticks / den;
    const uint32_t rest = ((ticks % den) * num + den / 2U) / den;
    if (quotient > (UINT32_MAX - rest) / num) {
        return UINT32_MAX;
    }
    return quotient * num + rest;
}

#if APP_LAYERS
static void print_step(void *context, uint32_t step, uint32_t ticks)
{
    app_text_t *text = context;
    const uint32_t values[] = {step, app_counts(ticks)};
    app_text_values(text, "  step #: #\r\n", values);
}
#endif

void app_bench(app_t *app, uint32_t count)
{
    uint32_t min = UINT32_MAX;
    uint32_t max = 0;
    uint32_t mean = 0; /* of whole quotients */
    uint32_t rest = 0; /* sum of remainders, to be divided at the end */
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ticks = 0;
        app_model_load_golden(&app->model, i % INPUTS);
        (void)app_model_invoke(&app->model, &ticks);
        const uint32_t counts = app_counts(ticks);
        min = counts < min ? counts : min;
        max = counts > max ? counts : max;
        mean += counts / count;
        rest += counts % count;
    }
    const uint32_t values[] = {count, min, mean + rest / count, max};
    app_text_values(&app->text, "counts per inference, # runs: min #  mean #  max #\r\n", values);
#if APP_LAYERS
    app_model_load_golden(&app->model, 0);
    (void)app_model_run_to(&app->model, MODEL_STEP_COUNT - 1U, print_step, &app->text);
#endif
    app_model_reset(&app->model);
}
