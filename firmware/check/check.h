/* A second model beside the board's own: the same one with the reference kernels.
 *
 * check_reference.c, the reference model and the reference kernels are linked into one object that
 * shows check_reference alone, so both models and both sets of kernels keep their names.
 */
#ifndef CHECK_H
#define CHECK_H

#include "model.h"

typedef struct {
    uint8_t *arena;
    const model_tensor_t *inputs;
    const model_written_t *written;
    void (*reset)(uint8_t *arena);
    void (*step)(uint8_t *arena, int32_t step);
} check_model_t;

extern const check_model_t check_reference;

#endif
