/* The kernels: one function an operator, parameters first, output last.
 *
 * Every implementation of a function gives the same bytes. The build chooses
 * the folder: ref is portable C11 without assumptions about the core.
 */
#ifndef NN_KERNELS_H
#define NN_KERNELS_H

#include "nn_types.h"

void nn_conv_2d_s8(const nn_conv_t *p, const int8_t *input, int8_t *output);
void nn_depthwise_conv_2d_s8(const nn_conv_t *p, const int8_t *input, int8_t *output);
void nn_fully_connected_s8(const nn_fully_connected_t *p, const int8_t *input, int8_t *output);
void nn_average_pool_2d_s8(const nn_pool_t *p, const int8_t *input, int8_t *output);
void nn_max_pool_2d_s8(const nn_pool_t *p, const int8_t *input, int8_t *output);
void nn_mean_s8(const nn_mean_t *p, const int8_t *input, int8_t *output);
void nn_add_s8(const nn_add_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_rescale_s8(const nn_rescale_t *p, const int8_t *input, int8_t *output);
void nn_softmax_s8(const nn_softmax_t *p, const int8_t *input, int8_t *output);

#endif
