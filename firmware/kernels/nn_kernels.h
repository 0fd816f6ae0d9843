/* The kernels: one function an operator, parameters first, output last.
 *
 * Every implementation of a function gives the same bytes. The build chooses
 * the folder: ref is portable C11 without assumptions about the core.
 */
#ifndef NN_KERNELS_H
#define NN_KERNELS_H

#include "nn_depthwise.h"
#include "nn_elementwise.h"
#include "nn_fours.h"
#include "nn_mac16.h"
#include "nn_packed.h"
#include "nn_rows.h"
#include "nn_trio.h"
#include "nn_types.h"
#include "nn_wide.h"

void nn_conv_2d_s8(const nn_conv_t *p, const int8_t *input, int8_t *output);
void nn_conv_2d_s16(const nn_conv_t *p, const int16_t *input, int16_t *output);
void nn_depthwise_conv_2d_s8(const nn_conv_t *p, const int8_t *input, int8_t *output);
void nn_depthwise_conv_2d_s16(const nn_conv_t *p, const int16_t *input, int16_t *output);
void nn_transpose_conv_s8(const nn_conv_t *p, const int8_t *input, int8_t *output);
void nn_transpose_conv_s16(const nn_conv_t *p, const int16_t *input, int16_t *output);
void nn_batch_matmul_s8(const nn_batch_matmul_t *p, const int8_t *a, const int8_t *b,
                        int8_t *output);
void nn_batch_matmul_s16(const nn_batch_matmul_t *p, const int16_t *a, const int16_t *b,
                         int16_t *output);
void nn_fully_connected_s8(const nn_fully_connected_t *p, const int8_t *input, int8_t *output);
void nn_fully_connected_s16(const nn_fully_connected_t *p, const int16_t *input, int16_t *output);
void nn_average_pool_2d_s8(const nn_pool_t *p, const int8_t *input, int8_t *output);
void nn_average_pool_2d_s16(const nn_pool_t *p, const int16_t *input, int16_t *output);
void nn_max_pool_2d_s8(const nn_pool_t *p, const int8_t *input, int8_t *output);
void nn_max_pool_2d_s16(const nn_pool_t *p, const int16_t *input, int16_t *output);
void nn_mean_s8(const nn_mean_t *p, const int8_t *input, int8_t *output);
void nn_mean_s16(const nn_mean_t *p, const int16_t *input, int16_t *output);
void nn_reduce_max_s8(const nn_reduce_t *p, const int8_t *input, int8_t *output);
void nn_arg_max_s8(const nn_arg_max_t *p, const int8_t *input, int32_t *output);
void nn_add_s8(const nn_add_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_add_s16(const nn_add_t *p, const int16_t *a, const int16_t *b, int16_t *output);
void nn_squared_difference_s8(const nn_add_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_squared_difference_s16(const nn_add_t *p, const int16_t *a, const int16_t *b,
                               int16_t *output);
void nn_mul_s8(const nn_mul_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_mul_s16(const nn_mul_t *p, const int16_t *a, const int16_t *b, int16_t *output);
void nn_prelu_s8(const nn_prelu_t *p, const int8_t *a, const int8_t *alpha, int8_t *output);
void nn_prelu_s16(const nn_prelu_t *p, const int16_t *a, const int8_t *alpha, int16_t *output);
void nn_maximum_s8(const nn_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_maximum_s16(const nn_broadcast_t *p, const int16_t *a, const int16_t *b, int16_t *output);
void nn_minimum_s8(const nn_broadcast_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_minimum_s16(const nn_broadcast_t *p, const int16_t *a, const int16_t *b, int16_t *output);
void nn_copy(const nn_copy_t *p, const void *input, void *output);
void nn_fill(const nn_fill_t *p, void *output);
void nn_move(const nn_move_t *p, const void *input, void *output);
void nn_gather(const nn_gather_t *p, const void *input, void *output);
void nn_pick(const nn_pick_t *p, const void *input, const int32_t *indices, void *output);
void nn_update_slice(const nn_update_slice_t *p, const void *input, const void *part,
                     const void *place, void *output);
void nn_rsqrt_s16(const nn_rsqrt_t *p, const int16_t *input, int16_t *output);
void nn_div_s8(const nn_div_t *p, const int8_t *input, int8_t *output);
void nn_lut_s8(const nn_lut_t *p, const int8_t *input, int8_t *output);
void nn_slopes_s16(const nn_slopes_t *p, const int16_t *input, int16_t *output);
void nn_logistic_s16(const nn_sigmoid_t *p, const int16_t *input, int16_t *output);
void nn_tanh_s16(const nn_sigmoid_t *p, const int16_t *input, int16_t *output);
void nn_rescale_s8(const nn_rescale_t *p, const int8_t *input, int8_t *output);
void nn_rescale(const nn_rescale_t *p, const void *input, void *output);
void nn_quantize_s8(const nn_quantize_t *p, const float *input, int8_t *output);
void nn_quantize_s16(const nn_float_edge_t *p, const float *input, int16_t *output);
void nn_dequantize_lut(const nn_dequantize_t *p, const void *input, float *output);
void nn_dequantize_s16(const nn_float_edge_t *p, const int16_t *input, float *output);
void nn_binary_int(const nn_binary_int_t *p, const void *a, const void *b, void *output);
void nn_cast(const nn_cast_t *p, const void *input, void *output);
void nn_compare(const nn_compare_t *p, const void *a, const void *b, uint8_t *output);
void nn_select(const nn_select_t *p, const uint8_t *condition, const void *a, const void *b,
               void *output);
void nn_reduce_min_s8(const nn_reduce_t *p, const void *input, void *output);
void nn_cumsum_s8(const nn_cumsum_t *p, const int8_t *input, int8_t *output);
void nn_add_n_s8(const nn_add_n_t *p, const int8_t *input, int8_t *output, void *scratch);
void nn_l2_normalization_s8(const nn_l2_normalization_t *p, const int8_t *input, int8_t *output);
void nn_unary_f32(const nn_unary_f32_t *p, const float *input, float *output);
void nn_binary_f32(const nn_binary_f32_t *p, const float *a, const float *b, float *output);
void nn_reduce_f32(const nn_reduce_f32_t *p, const float *input, float *output);
void nn_resize_bilinear_s8(const nn_resize_t *p, const int8_t *input, int8_t *output);
void nn_softmax_s8(const nn_softmax_t *p, const int8_t *input, int8_t *output);
void nn_log_softmax_s8(const nn_log_softmax_t *p, const int8_t *input, int8_t *output);
void nn_softmax_s8_s16(const nn_softmax_t *p, const int8_t *input, int16_t *output);
void nn_softmax_s16(const nn_softmax_s16_t *p, const int16_t *input, int16_t *output);
void nn_svdf_s8(const nn_svdf_t *p, const int8_t *input, void *state, int8_t *output);
void nn_lstm_s8(const nn_lstm_t *p, const int8_t *input, int8_t *hidden, int16_t *cell,
                int8_t *output);

#endif
