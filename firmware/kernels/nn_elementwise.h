/* Element-wise kernels that the code generator calls on cores with fast 16-bit products: four
 * elements at a time, in numbers that were proven equal to the reference for all 65,536 pairs.
 * The output may lie on an operand that has all rows.
 */
#ifndef NN_ELEMENTWISE_H
#define NN_ELEMENTWISE_H

#include "nn_types.h"

/* Rows of two operands; an operand with one row for all steps back to its start. */
typedef struct {
    int32_t count;          /* elements of a row */
    int32_t rows;           /* at least 1 */
    int32_t a_step, b_step; /* from the end of a row to the next: 0, or -count */
} nn_row_pairs_t;

#define NN_LINEAR_SHIFT 20

/* out = ((a * a_factor >> 8) + (b * b_factor >> 8) + constant) >> NN_LINEAR_SHIFT, clamped to
 * -128..127. Zero points and rounding are in the constant; partial sums may wrap, the last one
 * does not. */
typedef struct {
    int32_t a_factor, b_factor, constant;
    nn_row_pairs_t rows;
} nn_linear_t;

/* out = (round(2 * product * multiplier / 2^32) + (product >> 31) + constant) >> shift with
 * product = (a + a_offset) * (b + b_offset), clamped to -128..127. The constant holds the output's
 * zero point and the rounding of the shift. */
typedef struct {
    int32_t a_offsets, b_offsets; /* an offset in each halfword */
    int32_t multiplier, constant, shift;
    nn_row_pairs_t rows;
} nn_product_t;

/* (round((x + offset) * factor * multiplier / 2^32) + half + sign) >> shift, with a sign of -1 or
 * 0: the reference's rounding of a shift to the right; half of 1 << shift. */
typedef struct {
    int32_t offset, factor, multiplier, half, shift;
} nn_operand_t;

/* out = (round(2 * d * d * multiplier / 2^32) + constant) >> shift, clamped to -128..127, with d
 * the difference of both operands: 16 bits. The constant holds the output's zero point and the
 * rounding. The offset of a is in each halfword. */
typedef struct {
    nn_operand_t a, b;
    int32_t multiplier, constant, shift;
    nn_row_pairs_t rows;
} nn_squares_t;

/* Softmax of rows, by a table of exp(d) in Q0.31 for the differences d = -255 .. 0 of an input and
 * the largest of its row. */
typedef struct {
    int32_t rows, depth;
    const int32_t *table;
} nn_softmax_table_t;

void nn_softmax_table_s8(const nn_softmax_table_t *p, const int8_t *input, int8_t *output);

void nn_linear_s8(const nn_linear_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_product_s8(const nn_product_t *p, const int8_t *a, const int8_t *b, int8_t *output);

/* With one element of b for each row: b_step is 0 or 1. */
void nn_linear_scalar_s8(const nn_linear_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_product_scalar_s8(const nn_product_t *p, const int8_t *a, const int8_t *b, int8_t *output);
void nn_squares_scalar_s8(const nn_squares_t *p, const int8_t *a, const int8_t *b, int8_t *output);

#endif
