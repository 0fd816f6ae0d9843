"""Classical models on integer features, as plain numbers that C can be made from.

A forest votes: each tree gives one vote to the largest class of its leaf. scikit-learn averages the
shares of a leaf's classes instead, which is the same as long as leaves are pure; where a bounded
depth leaves them mixed, `train_classifier` sets them to their largest class, so that scikit-learn's
own `predict` is the vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError
from model.recipe import ClassicalConfig

KINDS = {"forest": "random forest", "logistic": "logistic regression", "svm": "linear SVM"}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """The class with the highest weights @ features + bias, the first of equal ones."""

    weights: Floats  # [classes, features]
    bias: Floats  # [classes]


def train_classifier(
    kind: str,
    config: ClassicalConfig,
    x: npt.NDArray[np.int16],
    y: npt.NDArray[np.int64],
    seed: int,
) -> Any:
    """A fitted scikit-learn classifier; x [n, features], y [n] with every class 0 .. classes - 1.

    Raises ConfigError for an unknown kind.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    if kind not in KINDS:
        raise ConfigError(f"KIND={kind}: no such model; known kinds: {', '.join(KINDS)}")
    if kind == "forest":
        forest = RandomForestClassifier(
            config.trees, max_depth=config.max_depth, random_state=seed
        ).fit(x, y)
        for tree in forest.estimators_:
            tree.tree_.value[:, 0] = np.eye(tree.n_classes_)[tree.tree_.value[:, 0].argmax(axis=1)]
        return forest
    c = config.regularisation
    model = (
        LogisticRegression(C=c, max_iter=5000, random_state=seed)
        if kind == "logistic"
        else LinearSVC(C=c, max_iter=20000, random_state=seed)
    )
    return make_pipeline(StandardScaler(), model).fit(x, y)


def tree_votes(forest: Any, x: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """How many trees of a fitted forest vote for each class: [n, classes]."""
    rows = x.astype(np.float32)
    votes = sum(tree.predict_proba(rows) for tree in forest.estimators_)
    return np.asarray(votes, np.int16)


def linear_model(pipeline: Any) -> Linear:
    """The scaler and the linear model of a fitted pipeline as one; two classes get two rows."""
    scaler, model = pipeline[0], pipeline[-1]
    weights = model.coef_ / scaler.scale_
    bias = model.intercept_ - weights @ scaler.mean_
    if len(weights) == 1:
        weights, bias = np.vstack([0 * weights, weights]), np.array([0.0, bias[0]])
    return Linear(weights=weights, bias=bias)
