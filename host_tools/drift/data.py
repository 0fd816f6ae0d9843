"""Streams of the held-out groups, as they are and changed in ways that a device meets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from host_tools.errors import UsageError
from model.datasets import load_dataset
from model.datasets.base import Dataset, Recording, deviation
from model.datasets.truth import truth_of
from model.recipe import Recipe
from quantize.drift import Bytes, known_recordings, recording_inputs

NONE = "none"
SEED = 5
Values = npt.NDArray[np.float64]  # [samples, channels]


# of: values, the standard deviation of each channel over the profile, random numbers
Change = Callable[[Values, Values, np.random.Generator], Values]


def _rotation(axis: int, degrees: float) -> Change:
    """Turn both vectors of three channels about one axis."""
    angle = np.deg2rad(degrees)
    first, second = [k for k in range(3) if k != axis]
    turn = np.eye(3)
    turn[[first, second], [first, second]] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return lambda v, sd, rng: np.concatenate([v[:, :3] @ turn.T, v[:, 3:] @ turn.T], axis=1)


def _gain(factor: float) -> Change:
    return lambda v, sd, rng: v * factor


def _noise(share: float) -> Change:
    return lambda v, sd, rng: v + share * sd * rng.normal(size=v.shape)


def _offset(share: float) -> Change:
    return lambda v, sd, rng: v + share * sd


def _still(values: Values, sd: Values, rng: np.random.Generator) -> Values:
    """The sensor lies on a table: its first sample and a little noise."""
    return values[:1] + 0.02 * sd * rng.normal(size=values.shape)


def _walk(values: Values, sd: Values, rng: np.random.Generator) -> Values:
    """Motion of no class: a smooth random walk with the mean and deviation of the recording."""
    samples = len(values)
    path = np.zeros((samples + 256, values.shape[1]))
    for k in range(1, len(path)):
        path[k] = 0.97 * path[k - 1] + rng.normal(size=values.shape[1])
    kernel = np.ones(8) / 8
    smooth = np.stack([np.convolve(column, kernel, "same") for column in path.T], axis=1)
    smooth = smooth[256:]
    shape = (smooth - smooth.mean(axis=0)) / smooth.std(axis=0)
    return np.asarray(values.mean(axis=0) + shape * values.std(axis=0))


ANY: Mapping[str, Change] = {
    "gain 0.7": _gain(0.7),
    "gain 1.3": _gain(1.3),
    "noise 0.1 sd": _noise(0.1),
    "noise 0.3 sd": _noise(0.3),
    "offset 0.5 sd": _offset(0.5),
    "still": _still,
    "random walk": _walk,
}
INERTIAL: Mapping[str, Change] = {
    "rotation 30 x": _rotation(0, 30),
    "rotation 30 z": _rotation(2, 30),
    "rotation 90 x": _rotation(0, 90),
    "rotation 90 z": _rotation(2, 90),
}


def changes(recipe: Recipe) -> dict[str, Change | None]:
    """What can be done to the recipe's recordings; `none` first."""
    inertial = recipe.augment.kind == "inertial"
    return {NONE: None, **(INERTIAL if inertial else {}), **ANY}


def held_out_inputs(recipe: Recipe, model: bytes, change: str) -> Iterator[tuple[str, int, Bytes]]:
    """(group, label, network inputs [windows, bytes]) of the held-out recordings, changed.

    Raises UsageError for a change that does not exist or does not suit the recipe.
    """
    known = changes(recipe)
    if change not in known:
        raise UsageError(f"no change {change!r}; expected one of: {', '.join(known)}")
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    sd = _deviation(recipe, dataset)
    rng = np.random.default_rng(SEED)
    for recording in known_recordings(recipe, dataset, held_out=True):
        changed = _changed(recording, known[change], sd, rng)
        inputs = recording_inputs(dataset, recipe, model, changed)
        if len(inputs):
            yield str(dataset.group_title(recording.group)), recording.label, inputs


def _deviation(recipe: Recipe, dataset: Dataset) -> Values:
    return deviation([r.values for r in known_recordings(recipe, dataset, held_out=False)])


def _changed(
    recording: Recording, change: Change | None, sd: Values, rng: np.random.Generator
) -> Recording:
    if change is None:
        return recording
    values = change(np.asarray(recording.values, float), sd, rng)
    return dataclasses.replace(recording, values=values.astype(recording.values.dtype))
