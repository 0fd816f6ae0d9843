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

/* The sums of the three channels from B + 2^11 C and A + 2^21 C. */
static void nn_unpack_trio(uint32_t first, uint32_t second, int32_t *sums)
{
    const int32_t a = nn_signed_bits(second, 21);
    const int32_t low = (int32_t)(second - (uint32_t)a) >> 10; /* of 2^11 C */
    const int32_t b = nn_signed_bits(first - (uint32_t)low, 21);
    sums[0] += a;
    sums[1] += b;
    sums[2] += (int32_t)(first - (uint32_t)b) >> 11;
}

/* Sums of one pixel and chunk: of the channels that `words` words an input stand for. */
static void nn_add_chunk(const int32_t *stream, int32_t words, int32_t inputs, const uint8_t *x,
                         int32_t *sums)
{
    uint32_t both[2] = {0, (uint32_t)stream[words - 1]};
    if (words == 2) {
        both[0] = (uint32_t)stream[0];
    }
    for (int32_t k = 0; k < inputs; k++) {
        stream += words;
        for (int32_t i = 2 - words; i < 2; i++) {
            both[i] += (uint32_t)stream[i + words - 2] * x[NN_TRIO_PIXELS * k];
        }
    }
    nn_unpack_trio(both[0], both[1], sums);
}

static int8_t nn_trio_output(const int32_t *numbers, int32_t shift, int32_t sum)
{
    if (shift < 0) {
        return nn_exact_output(sum, numbers[0], (const nn_exact_t *)(const void *)(numbers + 1));
    }
    return nn_short_output(sum, (const nn_short_t *)(const void *)numbers, shift);
}

void nn_trio_s8(const nn_trio_t *trio, const uint8_t *x, int8_t *const *outputs)
{
    const int32_t *stream = trio->stream;
    const int32_t inputs = INPUTS * trio->steps;
    for (int32_t first = 0; first < trio->channels; first += CHANNELS) {
        const int32_t count = nn_min(trio->channels - first, CHANNELS);
        const int32_t words = count == 1 ? 1 : 2; /* for each input */
        int32_t sums[NN_TRIO_PIXELS][CHANNELS] = {{0}};
        for (int32_t chunk = 0; chunk < trio->chunks; chunk++) {
            for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
                const uint8_t *const in = x + NN_TRIO_PIXELS * inputs * chunk + i;
                nn_add_chunk(stream, words, inputs, in, sums[i]);
            }
            stream += words * (1 + inputs) + 1;
        }
        const int32_t shift = stream[-1];
        for (int32_t channel = 0; channel < count; channel++) {
            for (int32_t i = 0; i < NN_TRIO_PIXELS; i++) {
                outputs[i][first + channel] = nn_trio_output(stream, shift, sums[i][channel]);
            }
            stream += shift < 0 ? 10 : 4;
        }
    }
}
