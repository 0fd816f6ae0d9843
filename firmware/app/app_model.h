/* The model with its arena, and what has been written to it. */
#ifndef APP_MODEL_H
#define APP_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "link_protocol.h"
#include "model.h"

#define APP_CANARY_BYTES 16

/* The golden cases of the self-test. */
#ifdef WITHOUT_GOLDEN
#define APP_GOLDEN 0
#define APP_GOLDEN_COUNT 0
#else
#define APP_GOLDEN 1
#define APP_GOLDEN_COUNT MODEL_GOLDEN_COUNT
#endif

/* Why the engine could not set the model up, or NULL: generated code always can. */
#ifdef MODEL_INTERPRETED
#define APP_MODEL_PROBLEM model_problem()
#else
#define APP_MODEL_PROBLEM NULL
#endif

typedef struct {
    uint32_t written[MODEL_INPUT_COUNT]; /* bytes of each input since the last run */
    bool has_outputs;                    /* a run has ended and nothing was written since */
    uint32_t inputs_crc;                 /* see app_model_sum_inputs */
    uint32_t start_ticks;                /* of the first reset: an engine sets itself up there */
    _Alignas(16) uint8_t arena[MODEL_ARENA_BYTES];
    uint8_t canary[APP_CANARY_BYTES]; /* directly behind the arena */
} app_model_t;

/* Whether [first, first + count) lies in `total`, without overflow. */
static inline bool app_in_range(uint32_t first, uint32_t count, uint32_t total)
{
    return first <= total && count <= total - first;
}

void app_model_init(app_model_t *model);

/* Write part of an input, as the payload of a WRITE_INPUT says: a link_offset_t, then data. Input 0
 * at offset 0 begins a new case and forgets the one before; each input arrives in order, without
 * gaps; a part may be repeated. */
link_status_t app_model_write(app_model_t *model, const uint8_t *payload, uint32_t bytes);

/* Begin a new case with a whole input 0, which the caller puts to where this points. */
int8_t *app_model_fill(app_model_t *model);

/* Add the written inputs, when they are complete, to the CRC-32 of all inputs since the reset that
 * a host has asked to run on. */
void app_model_sum_inputs(app_model_t *model);

/* Run on the written inputs, which are used up; BAD_STATE when they are not complete.
 * The model's state, if it has one, goes on from the run before. */
link_status_t app_model_invoke(app_model_t *model, uint32_t *ticks);

/* The same, step by step: begin on the written inputs, run the steps from 0 on, each of which
 * returns its ticks, and end behind step `last`. */
link_status_t app_model_begin(app_model_t *model);
uint32_t app_model_time_step(app_model_t *model, uint32_t step);
link_status_t app_model_end(app_model_t *model, uint32_t last);

/* Write all inputs of a golden case, which begins with a reset; of firmware without them, zeros. */
void app_model_load_golden(app_model_t *model, uint32_t golden);

/* No inputs, no outputs, and no state: nothing of what ran before is left. */
void app_model_reset(app_model_t *model);

/* Bytes from the arena's start to the last one before `end` that was ever written. */
uint32_t app_model_written(const app_model_t *model, uint32_t end);

static inline uint32_t app_model_arena_used(const app_model_t *model)
{
#ifdef MODEL_INTERPRETED /* it plans from both ends, so every byte was written */
    (void)model;
    return model_arena_used();
#else
    return app_model_written(model, MODEL_ARENA_BYTES);
#endif
}

bool app_model_canary_intact(const app_model_t *model);

#endif
