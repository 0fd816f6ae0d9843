/* Stand-in golden vectors: the first bytes of each case, the rest is zero. */
#include "model.h"

const uint8_t model_golden_inputs[MODEL_GOLDEN_COUNT][MODEL_GOLDEN_INPUT_BYTES] = {
    {1, 2, 3, 4, 5, 6, 7},
    {9, 8, 7, 6, 5, 4, 3},
};
const uint8_t model_golden_outputs[MODEL_GOLDEN_COUNT][MODEL_GOLDEN_OUTPUT_BYTES] = {
    {2, 4, 6, 8, 10, 12, 14},
    {18, 16, 14, 12, 10, 8, 6},
};
