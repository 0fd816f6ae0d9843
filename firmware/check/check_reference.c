/* The reference model and its arena. */
#include "check.h"

static _Alignas(16) uint8_t arena[MODEL_ARENA_BYTES];

const check_model_t check_reference = {
    .arena = arena,
    .inputs = model_inputs,
    .written = model_written,
    .reset = model_reset,
    .step = model_step,
};
