/* What a classical model computes before and, where it is linear, when it decides.
 *
 * The generated classical_plan.h has the numbers of its model.
 */
#ifndef CLASSICAL_H
#define CLASSICAL_H

#include "classical_plan.h"

#define CLASSICAL_COUNTS 256 /* elements of scratch for a histogram of int8 values */

/* input: CLASSICAL_SAMPLES x CLASSICAL_CHANNELS, one sample after the other; features: statistics
 * of each channel, or the input as it is (CLASSICAL_STATISTICS is 0), which needs no counts. */
void classical_features(const int8_t *input, int16_t *features, uint16_t *counts);

/* scores = bias + weights * features for each class. */
static inline void classical_linear(const int32_t (*weights)[CLASSICAL_FEATURES],
                                    const int64_t *bias, const int16_t *features, int64_t *scores)
{
    for (int32_t i = 0; i < CLASSICAL_CLASSES; i++) {
        int64_t sum = bias[i];
        for (int32_t k = 0; k < CLASSICAL_FEATURES; k++) {
            sum += (int64_t)weights[i][k] * features[k];
        }
        scores[i] = sum;
    }
}

/* No votes for any class. */
static inline void classical_clear_votes(int16_t *votes)
{
    for (int32_t i = 0; i < CLASSICAL_CLASSES; i++) {
        votes[i] = 0;
    }
}

/* A decision: to child[0] where features[feature] <= threshold, else to child[1]. A child below 0
 * is a leaf, ~child its class, or the place of its score. */
typedef struct {
    int16_t feature;
    int16_t threshold;
    int16_t child[2];
} classical_node_t;

/* The leaf that a tree, a node or a leaf by itself, comes to. */
static inline int32_t classical_leaf(const classical_node_t *nodes, int32_t tree,
                                     const int16_t *features)
{
    while (tree >= 0) {
        const classical_node_t *const node = &nodes[tree];
        tree = node->child[features[node->feature] > node->threshold];
    }
    return ~tree;
}

/* Each tree votes for a class. */
static inline void classical_votes(const classical_node_t *nodes, const int16_t *roots,
                                   int32_t trees, const int16_t *features, int16_t *votes)
{
    classical_clear_votes(votes);
    for (int32_t i = 0; i < trees; i++) {
        votes[classical_leaf(nodes, roots[i], features)]++;
    }
}

/* Each tree adds the score of its leaf to its own class. */
static inline void classical_boosting(const classical_node_t *nodes, const int16_t *roots,
                                      const int16_t *classes, const int32_t *leaves, int32_t trees,
                                      const int16_t *features, int32_t *scores)
{
    for (int32_t i = 0; i < CLASSICAL_CLASSES; i++) {
        scores[i] = 0;
    }
    for (int32_t i = 0; i < trees; i++) {
        scores[classes[i]] += leaves[classical_leaf(nodes, roots[i], features)];
    }
}

#endif
