"""What a network has to beat: majority, logistic regression, random forest on statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model.evaluate import Metrics, evaluate
from model.features import Windows


def window_statistics(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n, samples, channels] -> [n, 10 * channels]: moments, extremes, quartiles, roughness."""
    step = np.diff(x, axis=1)
    centred = x - x.mean(axis=1, keepdims=True)
    spread = x.std(axis=1)
    cube = (centred**3).mean(axis=1) / np.maximum(spread, 1e-6) ** 3
    crossings = (np.diff(np.signbit(centred), axis=1) != 0).mean(axis=1)
    quartiles = np.percentile(x, [25, 50, 75], axis=1)
    columns = [x.mean(axis=1), spread, cube, x.min(axis=1), x.max(axis=1), *quartiles]
    return np.concatenate([*columns, np.abs(step).mean(axis=1), crossings], axis=1).astype(
        np.float32
    )


def evaluate_baselines(
    train: Windows, test: Windows, classes: int, seed: int
) -> dict[str, Metrics]:
    """Name -> metrics on `test` of each baseline, trained on `train`."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models: dict[str, Any] = {
        "majority": DummyClassifier(strategy="most_frequent"),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random forest": RandomForestClassifier(n_estimators=200, random_state=seed, n_jobs=2),
    }
    features, held_out = window_statistics(train.x), window_statistics(test.x)
    return {
        name: evaluate(test.y, model.fit(features, train.y).predict(held_out), classes)
        for name, model in models.items()
    }
