/* The application: it answers frames and text commands on the board's line. */
#ifndef APP_H
#define APP_H

#include "app_model.h"
#include "link_frame.h"
#include "model_features.h"

/* Parts that a build may leave out (--without) define WITHOUT_TEXT and so on; APP_GOLDEN is in
 * app_model.h. First the text commands and all that is printed. */
#ifdef WITHOUT_TEXT
#define APP_TEXT 0
#else
#include "app_text.h"
#define APP_TEXT 1
#endif

/* The cost and the output of single layers. */
#ifdef WITHOUT_LAYERS
#define APP_LAYERS 0
#else
#define APP_LAYERS 1
#endif

/* Firmware of a model with a front end streams and records. */
#if MODEL_FEATURES && !defined(WITHOUT_STREAM)
#define APP_STREAM 1
#else
#define APP_STREAM 0
#endif

/* The code of a recipe brings a profile of what its model sees, and what counts against it. */
#if __has_include("drift_plan.h") && !defined(WITHOUT_DRIFT)
#include "drift.h"
#define APP_DRIFT 1
#else
#define APP_DRIFT 0
#endif

/* `make build MLPERF=...` defines MLPERF, the name of a benchmark, and adds its commands. */
#ifdef MLPERF
#include "mlperf.h"
#define APP_MLPERF 1
#else
#define APP_MLPERF 0
#endif

/* The large parts come last: compilers reach what is near the start with shorter instructions. */
typedef struct {
#if APP_GOLDEN
    link_selftest_t selftest;      /* the last result */
    link_status_t selftest_status; /* ARENA_OVERRUN when the model left its arena */
#endif
    link_order_t order;
    link_receiver_t receiver;
    union {
        uint8_t bytes[LINK_MAX_PAYLOAD];
        uint32_t words[LINK_MAX_PAYLOAD / 4];
        link_hello_t hello;
    } payload;          /* of the reply being made */
    uint8_t input[512]; /* as it came from the board */
#if APP_DRIFT
    drift_t drift; /* counts since the start or the last reset of them */
#endif
#if APP_MLPERF
    mlperf_t mlperf;
#endif
    app_model_t model;
} app_t;

/* The whole program; main() is this and nothing else. Never returns. */
_Noreturn void app_run(void);

/* Bring up the board and the model, test it and say who we are. The application is all zeros. */
void app_start(app_t *app);

/* Read once from the board and answer all that is complete. */
void app_poll(app_t *app);

/* Fill `hello` and what follows it; returns how many bytes that is. */
uint32_t app_hello(const app_model_t *model, link_hello_t *hello);

/* Carry out a line of text, which ends with "ok" or "error: ...". */
void app_command(app_t *app, const char *line);

/* Who we are, in two parts: known before, and only after a self-test. */
void app_print_identity(void);
void app_print_results(app_t *app);

/* Run on the written inputs, as app_model_invoke does, and count what the model saw. Self-tests and
 * benchmarks go past this. */
#if APP_DRIFT
link_status_t app_infer(app_t *app, uint32_t *ticks);
#else
static inline link_status_t app_infer(app_t *app, uint32_t *ticks)
{
    return app_model_invoke(&app->model, ticks);
}
#endif

/* The commands of MLPerf Tiny, which end with %: begin, keep the time, and take a byte of the line;
 * true when it ended a command, which is answered then. */
#if APP_MLPERF
void app_mlperf_start(app_t *app);
void app_mlperf_poll(app_t *app);
bool app_mlperf_take(app_t *app, uint8_t byte);
#else
static inline void app_mlperf_start(app_t *app)
{
    (void)app;
}

static inline void app_mlperf_poll(app_t *app)
{
    (void)app;
}

static inline bool app_mlperf_take(app_t *app, uint8_t byte)
{
    (void)app;
    (void)byte;
    return false;
}
#endif

/* Run all golden vectors and keep the result in app->selftest. */
void app_selftest(app_t *app);

/* Compare the board's kernels with the reference kernels on random inputs and print the result;
 * returns NULL, or why not. Firmware without firmware/check/ has a weak one that refuses. */
const char *app_check_kernels(app_t *app, const char *argument);

/* Carry out the request that has the type of `reply` and this payload; `reply` has the payload
 * app->payload and no length yet. The second and third and the command belong to firmware with a
 * front end, see firmware/stream/. */
typedef link_status_t app_handler_t(app_t *app, link_frame_t *reply, const uint8_t *data,
                                    uint32_t length);
app_handler_t app_service;
app_handler_t app_on_samples;
app_handler_t app_on_record;
const char *app_live(app_t *app, const char *argument);

/* Ticks as counts, to the nearest: ticks * counter_num / counter_den of the board. A result beyond
 * 32 bits shows as the largest number. */
uint32_t app_counts(uint32_t ticks);

/* The command that runs `argument` inferences, or ten, on the golden inputs and prints their cost;
 * returns NULL, or what is wrong with the argument. */
const char *app_bench(app_t *app, const char *argument);

#endif
