/* The command `live`: inferences on what the board's sensor measures, as text, until a key. One
 * line for each: the result, then what the mean of the last outputs says, then the class where the
 * model's rule decides for one, then what the inference has cost. host_tools/link/said.py reads
 * these lines. Where samples were lost, all begins anew, so that no window and no
 * mean reaches over the gap. */
#include "app_stream.h"

#include "board.h"
#include "decide.h"

#if __has_include("model_answers.h")
#include "model_answers.h"
#endif

#ifndef MODEL_RULE_INPUTS
#define MODEL_RULE_INPUTS 4      /* results in the mean that is shown */
#define MODEL_RULE_THRESHOLD 128 /* nothing is decided */
#define MODEL_RULE_PAUSE 0
#endif

#define BATCH 8 /* samples at a time */
#define MOST 64 /* outputs that are a decision */
#define OUTPUTS (MODEL_GOLDEN_OUTPUT_BYTES <= MOST ? MODEL_GOLDEN_OUTPUT_BYTES : 1)

typedef struct {
    uint32_t lost; /* gaps */
    decide_t decide;
    int8_t rows[DECIDE_BYTES(MODEL_RULE_INPUTS, OUTPUTS)];
} live_t;

static void print_score(int32_t score)
{
    const uint32_t size = (uint32_t)(score < 0 ? -score : score);
    app_text(score < 0 ? " -#" : " #", size);
}

static inline void print_scores(const int8_t *scores)
{
    app_text(", scores");
    for (uint32_t i = 0; i < model_outputs[0].bytes; i++) {
        print_score(scores[i]);
    }
}

/* The class with the highest score of the first output. */
static inline void print_class(const int8_t *scores)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < model_outputs[0].bytes; i++) {
        best = scores[i] > scores[best] ? i : best;
    }
    app_text("class #", best);
#ifdef MODEL_ANSWERS_KIND
    app_text(" $", model_answers[best].name);
#endif
}

#ifdef MODEL_ANSWERS_KIND
/* All labels whose scores are above their thresholds. */
static inline void print_labels(const int8_t *scores)
{
    const char *between = " ";
    app_text("labels");
    for (uint32_t i = 0; i < MODEL_ANSWERS_COUNT; i++) {
        if (scores[i] > model_answers[i].threshold) {
            app_text("$$", between, model_answers[i].name);
            between = "+";
        }
    }
    app_text(*between == ' ' ? " none" : "");
}

/* The digits of `value` behind the point, zeros in front included. */
static void print_fraction(uint32_t value, uint32_t scale)
{
    for (uint32_t place = scale / 10; place > 0; place /= 10) {
        app_text("#", value / place % 10);
    }
}

static inline void print_numbers(const int8_t *outputs)
{
    for (uint32_t i = 0; i < MODEL_ANSWERS_COUNT; i++) {
        const model_answer_t *answer = &model_answers[i];
        const int64_t half = 1 << 23;
        const int64_t number = (answer->offset + answer->step * outputs[i] + half) >> 24;
        const uint32_t size = (uint32_t)(number < 0 ? -number : number);
        uint32_t scale = 1;
        for (uint32_t digit = 0; digit < answer->decimals; digit++) {
            scale *= 10;
        }
        app_text("$$ $#$", i == 0 ? "" : ", ", answer->name, number < 0 ? "-" : "", size / scale,
                 scale > 1 ? "." : "");
        print_fraction(size, scale);
        app_text(" $", answer->unit);
    }
}
#endif

/* The first output of the model in words. */
static void print_answer(const int8_t *outputs)
{
#if !defined(MODEL_ANSWERS_KIND) || MODEL_ANSWERS_KIND == MODEL_ANSWERS_ONE
    print_class(outputs);
#elif MODEL_ANSWERS_KIND == MODEL_ANSWERS_SEVERAL
    print_labels(outputs);
#else
    print_numbers(outputs);
#endif
}

static void print_inference(app_t *app, live_t *live, uint32_t ticks)
{
    const int8_t *outputs = (const int8_t *)&app->model.arena[model_outputs[0].offset];
    print_answer(outputs);
#if !defined(MODEL_ANSWERS_KIND) || MODEL_ANSWERS_KIND != MODEL_ANSWERS_NUMBERS
    print_scores(outputs);
#endif
    if (model_outputs[0].bytes <= OUTPUTS) {
        static const decide_rule_t rule = {MODEL_RULE_INPUTS, MODEL_RULE_THRESHOLD,
                                           MODEL_RULE_PAUSE};
        const int32_t decided =
            decide_push(&live->decide, &rule, outputs, model_outputs[0].bytes, live->rows);
        app_text("; mean of #: ", live->decide.counted);
        print_answer(live->rows);
        if (decided != DECIDE_NOTHING) {
            app_text("; decided: ");
            print_answer(live->rows);
        }
    }
    app_text("; # counts\r\n", app_counts(ticks));
}

/* Enter may still be on its way from the command itself. */
static bool is_key(void)
{
    uint8_t key;
    return board_read(&key, 1) == 1 && key != '\r' && key != '\n';
}

static const char *unsuited(const board_sensor_t *sensor)
{
    if (sensor == NULL) {
        return "this board has no sensor that answers";
    }
    return sensor->channels == MODEL_FE_CHANNELS ? NULL
                                                 : "the sensor has other channels than the model";
}

static void restart(app_t *app, live_t *live)
{
    decide_reset(&live->decide);
    live->lost++;
    app_text("samples were lost (#)\r\n", live->lost);
    app_stream_begin(app_stream(), app, 0);
}

static void push(app_t *app, live_t *live, const int16_t *samples, size_t count)
{
    uint32_t ticks = 0;
    for (size_t i = 0; i < count; i++) {
        if (app_stream_push(app_stream(), app, &samples[i * MODEL_FE_CHANNELS])) {
            (void)app_infer(app, &ticks);
            print_inference(app, live, ticks);
        }
    }
}

const char *app_live(app_t *app, const char *argument)
{
    static live_t live;
    int16_t samples[BATCH * MODEL_FE_CHANNELS];
    uint32_t state = 0;
    (void)argument;
    if (!BOARD_HAS_SENSOR) {
        return "this board has no sensor for this model";
    }
    const board_sensor_t *sensor = board_sensor_start();
    const char *problem = unsuited(sensor);
    if (problem != NULL) {
        return problem;
    }
    app_text("live at # mHz, the model is for # mHz; a key ends it\r\n", sensor->rate_millihertz,
             (uint32_t)MODEL_FE_SAMPLE_RATE_MHZ);
    live = (live_t){.lost = 0};
    app_stream_begin(app_stream(), app, 0);
    while ((state & BOARD_SENSOR_FAILED) == 0) {
        const size_t count = board_sensor_read(samples, BATCH, &state);
        if ((state & BOARD_SENSOR_OVERRUN) != 0) {
            state &= ~BOARD_SENSOR_OVERRUN;
            restart(app, &live); /* without what came with it */
        } else {
            push(app, &live, samples, count);
        }
        if (count == 0 && ((state & BOARD_SENSOR_ENDED) != 0 || is_key())) {
            break;
        }
    }
    app_model_reset(&app->model);
    return (state & BOARD_SENSOR_FAILED) == 0 ? NULL : "the sensor does not answer";
}
