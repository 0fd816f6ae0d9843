#include "model_features.h"

static const fe_scale_t scales[6] = {
    {.multiplier = 16384, .bias = 8192, .shift = 14},
    {.multiplier = 16384, .bias = 8192, .shift = 14},
    {.multiplier = 16384, .bias = 8192, .shift = 14},
    {.multiplier = 8192, .bias = 8192, .shift = 14},
    {.multiplier = 8192, .bias = 8192, .shift = 14},
    {.multiplier = 8192, .bias = 8192, .shift = 14},
};

const fe_config_t model_features = {
    .push = fe_push_raw,
    .channels = 6,
    .window = 128,
    .hop = 64,
    .rows = 128,
    .columns = 6,
    .frame = 128,
    .frame_hop = 64,
    .rows_hop = 64,
    .scales = scales,
};
