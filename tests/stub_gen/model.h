/* A stand-in with the interface of a generated model, for tests that need firmware but no training.
 */
#ifndef MODEL_H
#define MODEL_H
#include <stdint.h>
#define MODEL_NAME "stub"
#define MODEL_SHA256_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define MODEL_RUN_ID "0123456789ab"
#define MODEL_TOOL_VERSION "0.1.0"
#define MODEL_ARENA_BYTES 1024
#define MODEL_INPUT_COUNT 1
#define MODEL_OUTPUT_COUNT 1
#define MODEL_STEP_COUNT 2
#define MODEL_GOLDEN_COUNT 2
#define MODEL_GOLDEN_INPUT_BYTES 768 /* all inputs of a case, in order */
#define MODEL_GOLDEN_OUTPUT_BYTES 7
typedef struct {
    uint32_t offset; /* bytes from the start of the arena; 16-byte aligned */
    uint32_t bytes;
} model_tensor_t;
extern const uint8_t model_sha256[32];
extern const model_tensor_t model_inputs[MODEL_INPUT_COUNT];
extern const model_tensor_t model_outputs[MODEL_OUTPUT_COUNT];
extern const uint8_t model_golden_inputs[MODEL_GOLDEN_COUNT][MODEL_GOLDEN_INPUT_BYTES];
extern const uint8_t model_golden_outputs[MODEL_GOLDEN_COUNT][MODEL_GOLDEN_OUTPUT_BYTES];
/* Forget the state; this model has none. */
void model_reset(uint8_t *arena);
/* Run operator `step` (0 .. MODEL_STEP_COUNT - 1). The arena must be 16-byte aligned. */
void model_step(uint8_t *arena, int32_t step);
/* Run the whole model. Inputs are consumed: write them again before the next call. */
void model_invoke(uint8_t *arena);
#endif
