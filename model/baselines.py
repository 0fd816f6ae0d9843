"""What a network has to beat: majority, logistic regression, random forest on statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from model.evaluate import Metrics, evaluate
from model.features import Splits, Windows

MIN_ROWS = 8
MAX_TRAINED = 20_000  # windows, at even distances
STEP = 2_000  # windows at once


def window_statistics(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n, samples, channels] -> [n, 10 * channels]: moments, extremes, quartiles, roughness.

    Fewer than MIN_ROWS rows are no course of time but features already: they come back flat.
    """
    if x.shape[1] < MIN_ROWS:
        return x.reshape(len(x), -1)
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


def _statistics(windows: Windows) -> npt.NDArray[np.float32]:
    """window_statistics, some windows at a time."""
    starts = range(0, max(len(windows.y), 1), STEP)
    return np.concatenate([window_statistics(windows.part(a, a + STEP).x) for a in starts])


def evaluate_baselines(
    train: Windows, test: Windows, classes: int, seed: int
) -> dict[str, Metrics]:
    """Name -> metrics on `test` of each baseline, trained on `train`, MAX_TRAINED windows of it."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models: dict[str, Any] = {
        "majority": DummyClassifier(strategy="most_frequent"),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "random forest": RandomForestClassifier(n_estimators=200, random_state=seed),
    }
    train = train.spread(MAX_TRAINED)
    features, held_out = _statistics(train), _statistics(test)
    return {
        name: evaluate(test.y, model.fit(features, train.y).predict(held_out), classes)
        for name, model in models.items()
    }


def anomaly_baselines(
    splits: Splits, components: int, seed: int
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Name -> scores of the validation and the test windows; higher is stranger.

    All are fitted on the training windows, which are normal: what principal components (as many as
    the network's narrowest layer has units) leave of a window, and on window_statistics the
    Mahalanobis distance with a shrunk covariance and the isolation forest.
    """
    from sklearn.covariance import LedoitWolf
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    parts = (splits.train.spread(MAX_TRAINED), splits.val, splits.test)
    raw = [w.x.reshape(len(w.y), -1) for w in parts]
    scaler = StandardScaler().fit(_statistics(parts[0]))
    told = [scaler.transform(_statistics(w)) for w in parts]
    pca = PCA(min(components, *raw[0].shape)).fit(raw[0])
    forest = IsolationForest(n_estimators=200, random_state=seed).fit(told[0])
    distance = LedoitWolf().fit(told[0])

    def residual(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.asarray(((x - pca.inverse_transform(pca.transform(x))) ** 2).mean(axis=1))

    return {
        "PCA reconstruction": (residual(raw[1]), residual(raw[2])),
        "Mahalanobis distance": (distance.mahalanobis(told[1]), distance.mahalanobis(told[2])),
        "isolation forest": (-forest.score_samples(told[1]), -forest.score_samples(told[2])),
    }


def regression_baselines(
    train: Windows, test: Windows, seed: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Name -> numbers [windows, targets] that a baseline, trained on `train`, tells of `test`."""
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models: dict[str, Any] = {
        "mean": DummyRegressor(),
        "ridge regression": make_pipeline(StandardScaler(), Ridge()),
        "random forest": RandomForestRegressor(n_estimators=100, random_state=seed),
    }
    features, held_out = window_statistics(train.x), window_statistics(test.x)
    truth = train.truth if train.truth.shape[1] > 1 else train.truth[:, 0]
    return {
        name: np.asarray(model.fit(features, truth).predict(held_out)).reshape(test.truth.shape)
        for name, model in models.items()
    }


def multilabel_baselines(
    splits: Splits, seed: int
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Name -> scores [windows, labels] of the validation and of the test windows."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models: dict[str, Callable[[], Any]] = {
        "share of each label": lambda: DummyClassifier(strategy="prior"),
        "logistic regression": lambda: make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=2000)
        ),
        "random forest": lambda: RandomForestClassifier(n_estimators=100, random_state=seed),
    }
    told = {name: window_statistics(windows.x) for name, windows in splits.items()}
    found = {}
    for name, make in models.items():
        fitted = [make().fit(told["train"], truth > 0) for truth in splits.train.truth.T]
        found[name] = tuple(
            np.stack([model.predict_proba(told[split])[:, -1] for model in fitted], axis=1)
            for split in ("val", "test")
        )
    return {name: (val, test) for name, (val, test) in found.items()}
