/* Front ends: from a sensor's samples to a network's input, in integers.
 *
 * One definition: Python calls this C for training, calibration and golden inputs, and firmware
 * runs it on the device. Tables are constants that Python makes once; nothing here is checked at
 * run time, because model/features has validated every value.
 *
 *   samples --fe_push--> features (int16) --fe_quantise--> network input (int8)
 *
 * A sample instant is one int16 for each channel, in LSB of the sensor. A feature stands for the
 * real number feature * feature scale, a power of two that stands in the generated header.
 * The caller owns the state: MODEL_FE_STATE_BYTES bytes, aligned to 8.
 */
#ifndef FE_H
#define FE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a certificate compares. A front end without a stage leaves its hash at the start value. */
typedef enum {
    FE_STAGE_WINDOW,   /* samples times the analysis window, int32, a frame after the other */
    FE_STAGE_SPECTRUM, /* power of each bin, uint64 */
    FE_STAGE_BANDS,    /* columns before they are scaled, int16 */
    FE_STAGE_FEATURES, /* the network input as int16 */
    FE_STAGE_INPUT,    /* the network input as int8; added by who calls fe_quantise */
    FE_STAGES
} fe_stage_t;

/* One running FNV-1a hash (32 bits) for each stage, over little-endian bytes. */
typedef struct {
    uint32_t hash[FE_STAGES];
} fe_trace_t;

/* feature = (value * multiplier + bias) >> shift, rounded down and saturated to int16; the bias
 * has the half that makes it round to nearest. |value * multiplier + bias| < 2^31. */
typedef struct {
    int32_t multiplier; /* 1 .. 2^15 - 1 */
    int32_t bias;
    int32_t shift; /* 1 .. 30 */
} fe_scale_t;

/* One filter of the bank: the weighted power of neighbouring bins. */
typedef struct {
    uint16_t first; /* bin */
    uint16_t count; /* bins, at least 1 */
} fe_filter_t;

/* Analysis window, real FFT and filter bank. */
typedef struct {
    int32_t length;            /* samples in a frame, even, at most points; zeros fill the rest */
    int32_t points;            /* of the FFT: a power of two, 16 .. 4096 */
    int32_t filters;           /* columns that come from the bank */
    const int16_t *window;     /* [length] Q15 */
    const int16_t *twiddles;   /* [points / 2][2] Q15: cos and -sin of 2 pi k / points */
    const fe_filter_t *bank;   /* [filters] */
    const uint16_t *weights;   /* of all filters, one after the other, 2^15 is 1 */
    const uint16_t *logarithm; /* [65] log2(1 + i / 64) in Q15 */
} fe_spectrum_t;

typedef struct fe_config fe_config_t;

#define FE_STATISTICS 5 /* columns of `spectral` before its bands */

/* mean[i] = log2(1 - a + a 2^d) - max(d, 0) in Q12 for d = i / 4 - 16, with the smoothing a: by
 * what log2 of a running mean of powers moves when log2 of the next power is d above it. */
#define FE_MEAN_POINTS 129

/* A kind of front end is its function: fe_push_raw, fe_push_spectral or fe_push_logmel. */
typedef bool fe_push_t(const fe_config_t *fe, void *state, const int16_t *sample,
                       int16_t *features);

struct fe_config {
    fe_push_t *push;
    int32_t channels;      /* int16 values in one sample instant */
    int32_t window;        /* sample instants in one network input */
    int32_t hop;           /* sample instants from one network input to the next, <= window */
    int32_t rows, columns; /* of the feature frame; the network input is [rows, columns] */
    int32_t frame;         /* logmel: sample instants in a frame; else window */
    int32_t frame_hop;     /* logmel: from one frame to the next; else hop */
    int32_t rows_hop;      /* logmel: frames from one network input to the next */
    int32_t segment_hop;   /* spectral: sample instants from one FFT to the next */
    int32_t remove_mean;   /* spectral: 1 takes a channel's mean away first */
    int32_t reciprocal;    /* spectral: 2^30 / window, rounded */
    int32_t floor;         /* logmel: columns are at least this before they are scaled */
    int32_t range;         /* logmel: columns count from the input's largest, at most so far
                            * below it; 0: they are absolute */
    int32_t pcan;          /* logmel: the share of its running mean that is taken from a
                            * column, Q8; 0: no PCAN */
    const int16_t *mean;   /* logmel: the running mean's step, see FE_MEAN_POINTS; NULL: no PCAN */
    const fe_scale_t *scales;      /* [columns]; spectral: [rows * columns] */
    const fe_spectrum_t *spectrum; /* NULL: raw */
};

/* The start of every state; rings and scratch follow. */
typedef struct {
    fe_trace_t *trace; /* NULL: off */
    int32_t due;       /* sample instants until the next frame or network input */
    int32_t next;      /* where the ring of samples goes on */
    int32_t rows_due;  /* logmel: frames until the next network input */
    int32_t row;       /* logmel: where the ring of rows goes on */
    int32_t unused;    /* what follows is aligned to 8 */
} fe_state_t;

#define FE_ROUND_UP(bytes) (((bytes) + 7u) / 8u * 8u)
#define FE_BINS_BYTES(points) (8u * ((points) / 2u + 1u))
#define FE_RAW_STATE_BYTES(channels, window)                                                       \
    (sizeof(fe_state_t) + FE_ROUND_UP(2u * (channels) * (window)))
#define FE_SPECTRAL_STATE_BYTES(channels, window, points, filters)                                 \
    (sizeof(fe_state_t) + FE_BINS_BYTES(points) + 8u * (filters) +                                 \
     FE_ROUND_UP(2u * (channels) * (window)))
#define FE_LOGMEL_STATE_BYTES(length, points, rows, columns)                                       \
    (sizeof(fe_state_t) + FE_BINS_BYTES(points) +                                                  \
     FE_ROUND_UP(2u * (length) + 2u * (rows) * (columns)))

/* Forget all samples. Call it before the first fe_push; it keeps nothing, a trace ends. */
void fe_reset(const fe_config_t *fe, void *state);

/* Take one sample instant, sample[channels]. True: features[rows * columns] is a network input's
 * worth, first after `window` instants and then after every `hop`. False: features is untouched. */
bool fe_push(const fe_config_t *fe, void *state, const int16_t *sample, int16_t *features);

/* input = zero_point + feature * multiplier / 2^shift, halves away from zero, saturated to int8.
 * multiplier 2^14 .. 2^15 - 1, shift 1 .. 30. The factor is feature scale / scale of the input. */
void fe_quantise(const int16_t *features, size_t count, int32_t multiplier, int32_t shift,
                 int32_t zero_point, int8_t *input);

/* Hash the stages from now on; the trace starts anew. NULL: stop. */
void fe_trace(void *state, fe_trace_t *trace);

/* Add bytes to a stage's hash; for FE_STAGE_INPUT. */
void fe_trace_add(fe_trace_t *trace, fe_stage_t stage, const void *data, size_t bytes);

/* Kinds: raw scales samples; spectral has a row of statistics and band energies for each channel;
 * logmel has a row of log2 of mel energies for each frame. Their files say more. */
fe_push_t fe_push_raw, fe_push_spectral, fe_push_logmel;

#endif
