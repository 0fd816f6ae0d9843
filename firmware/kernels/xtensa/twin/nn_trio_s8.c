/* What nn_trio_s8.S computes, for machines without its instructions. Rounding: double. */
#include "nn_split.h"
#include "nn_trio.h"

#define CHANNELS 3
#define INPUTS 4 /* of a step */

/* The lowest `bits` of a word as a signed number. */
static int32_t nn_signed_bits(uint32_t word, int32_t bits)
{
    return (int32_t)(word << (32 - bits)) >> (32 - bits);
}

/* The sums of the three channels from A + 2^11 B and C + 2^21 B. */
static void nn_unpack_trio(uint32_t first, uint32_t second, int32_t *sums)
{
    const int32_t near = (int32_t)first >> 11; /* B, but for the carry of A */
    const uint32_t rest = second - ((uint32_t)near << 21);
    const int32_t c = nn_signed_bits(rest, 21);
    const int32_t b = near + ((int32_t)(rest - (uint32_t)c) >> 21);
    sums[0] += (int32_t)(first - ((uint32_t)b << 11));
    sums[1] += b;
    sums[2] += c;
}

static const int32_t NUMBERS[] = {[NN_NEAR] = 6, [NN_NEAR_SIGN] = 8, [NN_EXACT] = 10};

static int8_t nn_trio_output(nn_near_form_t form, const int32_t *numbers, int32_t sum)
{
    if (form == NN_EXACT) {
        return nn_exact_output(sum, numbers[0], (const nn_exact_t *)(const void *)(numbers + 1));
    }
    return nn_near_output(sum, (const nn_near_t *)(const void *)numbers, form == NN_NEAR_SIGN);
}

void nn_trio_s8(const nn_trio_t *trio, const uint8_t *x, int8_t **outputs)
{
    const int32_t *stream = trio->stream;
    for (int32_t first = 0; first < trio->channels; first += CHANNELS) {
        int32_t sums[NN_TRIO_PIXELS][CHANNELS] = {{0}};
        const uint8_t *in = x;
        for (int32_t chunk = 0; chunk < trio->chunks; chunk++) {
            const int32_t *const start = stream;
            stream += 2;
            for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
                uint32_t both[2] = {(uint32_t)start[0], (uint32_t)start[1]};
                for (int32_t k = 0; k < INPUTS * trio->steps; k++) {
                    both[0] += (uint32_t)stream[2 * k] * in[NN_TRIO_PIXELS * k + i];
                    both[1] += (uint32_t)stream[2 * k + 1] * in[NN_TRIO_PIXELS * k + i];
                }
                nn_unpack_trio(both[0], both[1], sums[i]);
            }
            stream += 2 * INPUTS * trio->steps;
            in += NN_TRIO_PIXELS * INPUTS * trio->steps;
        }
        const int32_t count = nn_min(trio->channels - first, CHANNELS);
        for (int32_t channel = 0; channel < count; channel++) {
            for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
                *outputs[i] = nn_trio_output(trio->form, stream, sums[i][channel]);
                outputs[i]++;
            }
            stream += NUMBERS[trio->form];
        }
    }
}
