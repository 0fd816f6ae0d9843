/* The cost of an inference, in total and by step. */
#include "app.h"
#include "board.h"

#define DEFAULT 10 /* runs */
#define MOST 1000
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

/* A number from `digits`, or 0 when it is none or above MOST. */
static uint32_t parse_count(const char *digits)
{
    uint32_t value = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        value = value * 10u + (uint32_t)(*digits - '0');
        if (value > MOST) {
            return 0;
        }
    }
    return *digits == '\0' ? value : 0;
}

const char *app_bench(app_t *app, const char *argument)
{
    const uint32_t count = *argument == '\0' ? DEFAULT : parse_count(argument);
    uint32_t min = UINT32_MAX;
    uint32_t max = 0;
    uint32_t mean = 0; /* of whole quotients */
    uint32_t rest = 0; /* sum of remainders, to be divided at the end */
    if (count == 0) {
        return "bench takes 1 to 1000, as in: bench 10";
    }
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
    app_text("counts per inference, # runs: min #  mean #  max #\r\n", count, min,
             mean + rest / count, max);
#if APP_LAYERS
    app_model_load_golden(&app->model, 0);
    (void)app_model_begin(&app->model);
    for (uint32_t step = 0; step != MODEL_STEP_COUNT; step++) {
        app_text("  step #: #\r\n", step, app_counts(app_model_time_step(&app->model, step)));
    }
#endif
    app_model_reset(&app->model);
    return NULL;
}
