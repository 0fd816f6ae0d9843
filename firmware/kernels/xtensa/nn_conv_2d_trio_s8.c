/* out[n,y,x,o] = clamp(zp + requant_o(bias[o] + sum over ky,kx,c of
 *                (in[n, y*sh - ph + ky*dh, x*sw - pw + kx*dw, c] - zp_in) * w[o,ky,kx,c]))
 *
 * Four pixels at a time: their windows are gathered, borders filled with the zero point, then
 * multiplied by all channels (nn_trio_s8). MACs: n*h*w*out_c*kh*kw*in_c. Rounding: double, in a
 * short form.
 */
#include <string.h>

#include "nn_math.h"
#include "nn_trio.h"

#define SIGNS 0x80808080U /* of four int8; a byte plus 128 is the byte with its sign turned */

static void nn_put_word(uint8_t *to, const int8_t *from)
{
    uint32_t four;
    memcpy(&four, __builtin_assume_aligned(from, 4), 4);
    four ^= SIGNS;
    to[0 * NN_TRIO_PIXELS] = (uint8_t)four;
    to[1 * NN_TRIO_PIXELS] = (uint8_t)(four >> 8);
    to[2 * NN_TRIO_PIXELS] = (uint8_t)(four >> 16);
    to[3 * NN_TRIO_PIXELS] = (uint8_t)(four >> 24);
}

static void nn_put_bytes(uint8_t *to, const int8_t *from)
{
    to[0 * NN_TRIO_PIXELS] = (uint8_t)(from[0] + 128);
    to[1 * NN_TRIO_PIXELS] = (uint8_t)(from[1] + 128);
    to[2 * NN_TRIO_PIXELS] = (uint8_t)(from[2] + 128);
    to[3 * NN_TRIO_PIXELS] = (uint8_t)(from[3] + 128);
}

/* Inputs of the four pixels, plus 128: whole words where they are aligned. Returns what follows. */
static uint8_t *nn_put_run(uint8_t *to, const int8_t *const *from, int32_t count)
{
    const int8_t *a = from[0], *b = from[1], *c = from[2], *d = from[3];
    uint8_t *const end = to + NN_TRIO_PIXELS * count;
    if ((((uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)d) & 3U) == 0) {
        for (; end - to >= 4 * NN_TRIO_PIXELS; to += 4 * NN_TRIO_PIXELS) {
            nn_put_word(to, a);
            nn_put_word(to + 1, b);
            nn_put_word(to + 2, c);
            nn_put_word(to + 3, d);
            a += 4, b += 4, c += 4, d += 4;
        }
    }
    for (; end - to >= 4 * NN_TRIO_PIXELS; to += 4 * NN_TRIO_PIXELS) {
        nn_put_bytes(to, a);
        nn_put_bytes(to + 1, b);
        nn_put_bytes(to + 2, c);
        nn_put_bytes(to + 3, d);
        a += 4, b += 4, c += 4, d += 4;
    }
    for (; to != end; to += NN_TRIO_PIXELS) {
        to[0] = (uint8_t)(*a++ + 128);
        to[1] = (uint8_t)(*b++ + 128);
        to[2] = (uint8_t)(*c++ + 128);
        to[3] = (uint8_t)(*d++ + 128);
    }
    return to;
}

/* Where windows begin: row and column of the input, and which element of the image that is. */
typedef struct {
    int32_t row, column, at;
} nn_place_t;

/* To the window of a pixel behind, in the same row or first in the next one. */
static inline void nn_move_place(const nn_conv_trio_t *p, nn_place_t *place, int32_t pixels)
{
    const nn_window_t *win = &p->window;
    place->column += pixels * win->stride_w;
    place->at += pixels * win->stride_w * p->input.c;
    if (place->column == p->output.w * win->stride_w - win->pad_w) {
        place->column = -win->pad_w;
        place->row += win->stride_h;
        place->at = (place->row * p->input.w + place->column) * p->input.c;
    }
}

/* Windows that lie inside the input, their rows without gaps, from pixels side by side. */
static void nn_put_inside(const nn_conv_trio_t *p, const int8_t *image, uint8_t *x)
{
    const int32_t length = p->window.kernel_w * p->input.c;
    const int32_t line = p->window.dilation_h * p->input.w * p->input.c;
    const int32_t step = p->window.stride_w * p->input.c;
    for (int32_t row = 0; row < p->window.kernel_h; row++) {
        const int8_t *from[NN_TRIO_PIXELS];
        int32_t at = row * line;
        for (int32_t i = 0; i < NN_TRIO_PIXELS; i++, at += step) {
            from[i] = image + at;
        }
        x = nn_put_run(x, from, length);
    }
}

/* Any windows of `count` pixels, tap by tap; `outside` stands for the inputs of a tap beyond the
 * border. Moves the place behind them. */
static void nn_put_taps(const nn_conv_trio_t *p, const int8_t *image, nn_place_t *place,
                        int32_t count, uint8_t *x, const int8_t *outside)
{
    const nn_window_t *win = &p->window;
    nn_place_t places[NN_TRIO_PIXELS];
    for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
        if (i < count) {
            places[i] = *place;
            nn_move_place(p, place, 1);
        } else {
            places[i] = places[i - 1];
        }
    }
    for (int32_t dy = 0; dy < win->kernel_h * win->dilation_h; dy += win->dilation_h) {
        for (int32_t dx = 0; dx < win->kernel_w * win->dilation_w; dx += win->dilation_w) {
            const int32_t step = (dy * p->input.w + dx) * p->input.c;
            const int8_t *from[NN_TRIO_PIXELS];
            for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
                const bool inside = (uint32_t)(places[i].row + dy) < (uint32_t)p->input.h &&
                                    (uint32_t)(places[i].column + dx) < (uint32_t)p->input.w;
                from[i] = inside ? image + places[i].at + step : outside;
            }
            x = nn_put_run(x, from, p->input.c);
        }
    }
}

/* Windows of an image, four pixels at a time; at the end fewer, of which the last fills up. */
static void nn_conv_image(const nn_conv_trio_t *p, const int8_t *input, int8_t *output, uint8_t *x,
                          const int8_t *outside)
{
    const nn_window_t *win = &p->window;
    const int32_t last_row = p->input.h - 1 - (win->kernel_h - 1) * win->dilation_h;
    const int32_t last_column = p->input.w - win->kernel_w - (NN_TRIO_PIXELS - 1) * win->stride_w;
    nn_place_t place = {.row = -win->pad_h, .column = -win->pad_w};
    place.at = (place.row * p->input.w + place.column) * p->input.c;
    for (int32_t left = p->output.h * p->output.w; left > 0; left -= NN_TRIO_PIXELS) {
        int8_t *outputs[NN_TRIO_PIXELS];
        for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
            outputs[i] = output;
            output += i + 1 < left ? p->output.c : 0;
        }
        if (win->dilation_w == 1 && left >= NN_TRIO_PIXELS && place.row >= 0 &&
            place.row <= last_row && place.column >= 0 && place.column <= last_column) {
            nn_put_inside(p, input + place.at, x);
            nn_move_place(p, &place, NN_TRIO_PIXELS);
        } else {
            nn_put_taps(p, input, &place, left, x, outside);
        }
        nn_trio_s8(&p->trio, x, outputs);
    }
}

void nn_conv_2d_trio_s8(const nn_conv_trio_t *p, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    int8_t *const outside = scratch + 4 * NN_TRIO_PIXELS * p->trio.chunks * p->trio.steps;
    memset(outside, p->pad_value, (size_t)p->input.c);
    for (int32_t n = 0; n < p->output.n; n++) {
        nn_conv_image(p, input, output, (uint8_t *)scratch, outside);
        input += p->input.h * p->input.w * p->input.c;
        output += p->output.h * p->output.w * p->output.c;
    }
}
