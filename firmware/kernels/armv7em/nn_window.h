/* The part of a pooling window that lies inside the input. */
#ifndef NN_WINDOW_H
#define NN_WINDOW_H

#include "nn_math.h"
#include "nn_packed.h"

typedef struct {
    const int8_t *input; /* first channel of the first pixel */
    nn_places_t pixels;  /* one long row where there are no gaps */
} nn_inside_t;

static inline nn_inside_t nn_find_inside(const nn_pool_t *p, const int8_t *image, int32_t y,
                                         int32_t x)
{
    const int32_t y0 = y * p->window.stride_h - p->window.pad_h;
    const int32_t x0 = x * p->window.stride_w - p->window.pad_w;
    const int32_t y1 = nn_max(y0, 0);
    const int32_t x1 = nn_max(x0, 0);
    nn_inside_t inside = {.input = image + (y1 * p->input.w + x1) * p->input.c,
                          .pixels = {.rows = nn_min(y0 + p->window.kernel_h, p->input.h) - y1,
                                     .run = nn_min(x0 + p->window.kernel_w, p->input.w) - x1,
                                     .stride = p->input.c,
                                     .row = p->input.w * p->input.c}};
    if (inside.pixels.run == p->input.w) {
        inside.pixels.run *= inside.pixels.rows;
        inside.pixels.rows = 1;
    }
    return inside;
}

#endif
