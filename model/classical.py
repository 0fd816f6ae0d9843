"""Classical models on integer features, as plain numbers that C can be made from.

A forest votes: each tree gives one vote to the largest class of its leaf. scikit-learn averages the
shares of a leaf's classes instead, which is the same as long as leaves are pure; where a bounded
depth leaves them mixed, `train_classifier` sets them to their largest class, so that scikit-learn's
own `predict` is the vote. Boosted trees add numbers instead, which are rounded to integers here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError
from model.recipe import ClassicalConfig

KINDS = {
    "forest": "random forest",
    "tree": "decision tree",
    "boosting": "boosted trees",
    "logistic": "logistic regression",
    "svm": "linear SVM",
}
TREES = ("forest", "tree", "boosting")
EXPORTERS = {  # of a kind; the first is taken where none is named
    "forest": ("emlearn", "everywhereml", "ours"),
    "tree": ("emlearn", "everywhereml", "ours"),
    "boosting": ("ours", "everywhereml"),
    "logistic": ("ours",),
    "svm": ("ours",),
}
BOOSTING_DEPTH = 3  # at most; the boosted trees of a round correct those before
BOOSTING_RATE = 0.3
SCORE_BITS = 23  # of all sums of boosted trees: whole numbers that a 32-bit float holds exactly
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """The class with the highest weights @ features + bias, the first of equal ones."""

    weights: Floats  # [classes, features]
    bias: Floats  # [classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A fitted tree: left where features[feature] <= threshold; a leaf adds `score` to `group`."""

    fitted: Any  # scikit-learn's Tree
    group: Ints  # [nodes]: the class
    score: Ints  # [nodes]

    @property
    def decides(self) -> npt.NDArray[np.bool_]:
        """[nodes]: whether it asks a question; the others are leaves."""
        return np.asarray(self.fitted.children_left >= 0)


def exporters_of(kind: str, exporter: str | None = None) -> tuple[str, ...]:
    """The exporters of `kind`, or `exporter` alone; ConfigError where it does not know the kind."""
    if kind not in KINDS:
        raise ConfigError(f"KIND={kind}: no such model; known kinds: {', '.join(KINDS)}")
    if exporter is None:
        return EXPORTERS[kind]
    if exporter not in EXPORTERS[kind]:
        raise ConfigError(
            f"EXPORTER={exporter} does not export a {KINDS[kind]}; KIND={kind} has "
            f"{', '.join(EXPORTERS[kind])}"
        )
    return (exporter,)


def train_classifier(
    kind: str,
    config: ClassicalConfig,
    x: npt.NDArray[np.int16],
    y: npt.NDArray[np.int64],
    seed: int,
) -> Any:
    """A fitted scikit-learn classifier; x [n, features], y [n] with each class 0 .. classes - 1."""
    model = (_train_trees if kind in TREES else _train_linear)(kind, config, seed).fit(x, y)
    for tree in _voters(kind, model):
        leaves = tree.children_left < 0
        largest = tree.value[leaves, 0].argmax(axis=1)
        tree.value[leaves, 0] = np.eye(tree.value.shape[2])[largest]
    return model


def _train_trees(kind: str, config: ClassicalConfig, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    if kind == "boosting":
        return GradientBoostingClassifier(
            init="zero",
            learning_rate=BOOSTING_RATE,
            n_estimators=config.trees,
            max_depth=min(config.max_depth, BOOSTING_DEPTH),
            random_state=seed,
        )
    if kind == "tree":
        return DecisionTreeClassifier(max_depth=config.max_depth, random_state=seed)
    return RandomForestClassifier(config.trees, max_depth=config.max_depth, random_state=seed)


def _train_linear(kind: str, config: ClassicalConfig, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    c = config.regularisation
    model = (
        LogisticRegression(C=c, max_iter=5000, random_state=seed)
        if kind == "logistic"
        else LinearSVC(C=c, max_iter=20000, random_state=seed)
    )
    return make_pipeline(StandardScaler(), model)


def _voters(kind: str, model: Any) -> list[Any]:
    """scikit-learn's trees of a model whose leaves vote."""
    if kind == "forest":
        return [one.tree_ for one in model.estimators_]
    return [model.tree_] if kind == "tree" else []


def trees_of(kind: str, model: Any) -> tuple[Tree, ...]:
    """The trees of a fitted model of TREES; every leaf of a boosted one adds a whole number."""
    if kind != "boosting":
        return tuple(
            Tree(
                fitted=tree,
                group=tree.value[:, 0].argmax(axis=1),
                score=np.ones(tree.node_count, np.int64),
            )
            for tree in _voters(kind, model)
        )
    rounds = model.estimators_  # [rounds, classes]; of two classes only the second has trees
    largest = sum(max(np.abs(one.tree_.value).max() for one in row) for row in rounds)
    shift = SCORE_BITS - math.frexp(max(BOOSTING_RATE * largest, 1e-9))[1]
    first = 1 if rounds.shape[1] == 1 else 0
    return tuple(
        Tree(
            fitted=one.tree_,
            group=np.full(one.tree_.node_count, first + k),
            score=np.rint(one.tree_.value[:, 0, 0] * BOOSTING_RATE * 2.0**shift).astype(np.int64),
        )
        for row in rounds
        for k, one in enumerate(row)
    )


def tree_scores(trees: tuple[Tree, ...], classes: int, x: npt.NDArray[np.int16]) -> Ints:
    """What the trees add up for each class, by the leaves that scikit-learn finds: [n, classes]."""
    rows = x.astype(np.float32)
    found = np.zeros((len(rows), classes), np.int64)
    for tree in trees:
        leaves = tree.fitted.apply(rows)
        found[np.arange(len(rows)), tree.group[leaves]] += tree.score[leaves]
    return found


def linear_model(pipeline: Any) -> Linear:
    """The scaler and the linear model of a fitted pipeline as one; two classes get two rows."""
    scaler, model = pipeline[0], pipeline[-1]
    weights = model.coef_ / scaler.scale_
    bias = model.intercept_ - weights @ scaler.mean_
    if len(weights) == 1:
        weights, bias = np.vstack([0 * weights, weights]), np.array([0.0, bias[0]])
    return Linear(weights=weights, bias=bias)
