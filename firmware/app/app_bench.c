/* The cost of an inference, in total and by step. */
#include "app.h"
#include "board.h"

/* ticks * num / den to the nearest in 32 bits: the quotient and the remainder are scaled apart.
 * A result beyond 32 bits shows as the largest number. */
static uint32_t to_counts(uint32_t ticks)
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

typedef struct {
    uint32_t min;
    uint32_t max;
    uint32_t mean; /* of whole quotients */
    uint32_t rest; /* sum of remainders, to be divided at the end */
} summary_t;

static void add(summary_t *summary, uint32_t counts, uint32_t count)
{
    summary->min = counts < summary->min ? counts : summary->min;
    summary->max = counts > summary->max ? counts : summary->max;
    summary->mean += counts / count;
    summary->rest += counts % count;
}

static void print_step(void *context, uint32_t step, uint32_t ticks)
{
    app_text_t *text = context;
    app_text_column(text, step, 6);
    app_text_column(text, to_counts(ticks), 12);
    app_text_end(text);
}

void app_bench(app_t *app, uint32_t count)
{
    summary_t summary = {.min = UINT32_MAX};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ticks = 0;
        app_model_load_golden(&app->model, i % MODEL_GOLDEN_COUNT);
        (void)app_model_invoke(&app->model, &ticks);
        add(&summary, to_counts(ticks), count);
    }
    app_text(&app->text, "counts per inference, ");
    app_text_u32(&app->text, count);
    app_text(&app->text, " runs: min ");
    app_text_u32(&app->text, summary.min);
    app_text(&app->text, "  mean ");
    app_text_u32(&app->text, summary.mean + summary.rest / count);
    app_text(&app->text, "  max ");
    app_text_u32(&app->text, summary.max);
    app_text_end(&app->text);
    app_text_line(&app->text, "  step      counts");
    app_model_load_golden(&app->model, 0);
    (void)app_model_run_to(&app->model, MODEL_STEP_COUNT - 1, print_step, &app->text);
    app_model_reset(&app->model);
}
