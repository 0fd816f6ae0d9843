"""Random variations of training windows.

Kind 'inertial' gives what another wearer, wrist or strap would have recorded; its channels are
accelerometer x, y, z and gyroscope x, y, z. Kind 'signal' is for any channels: speed, gain, tilt
of the spectrum, noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets.base import Recording
from model.features.library import Extractor
from model.recipe import AugmentConfig

Float = npt.NDArray[np.float32]
# A mirrored wrist: the accelerometer flips along x, the gyroscope (a pseudo-vector) across it.
_MIRROR = np.array([-1, 1, 1, 1, -1, -1], np.float32)


class WindowSampler:
    """Draws augmented training batches from recordings."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        extractor: Extractor,
        config: AugmentConfig,
        seed: int,
        of_window: str = "mean",
    ) -> None:
        self._lengths = np.array([len(r.values) for r in recordings])
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)[:-1]])
        self._samples = np.concatenate([r.values for r in recordings]).astype(np.float32)
        self._labels = np.array([r.label for r in recordings])
        self._of_window = of_window
        targets = [r.targets for r in recordings if r.targets is not None]
        self._targets = np.concatenate(targets) if targets else None
        self._sums = None if self._targets is None else np.cumsum(self._targets, 0, np.float64)
        self._extractor = extractor
        self._window = extractor.front_end.window
        self._config = config
        self._rng = np.random.default_rng(seed)

    def batch(self, size: int) -> tuple[Float, npt.NDArray[Any]]:
        """(network inputs [size, rows, columns], truth [size, ...]) of random places of recordings.

        The truth are labels, or the targets of the samples that the window was cut from.

        Samples are varied in their units; then the front end sees what a sensor would give.
        """
        which = self._rng.integers(len(self._lengths), size=size)
        windows, speed, ends = self._cut(which)
        if self._config.kind == "inertial":
            varied = self._vary_inertial(windows, speed)
        else:
            gain = self._rng.standard_normal((size, 1, 1)) * self._config.gain
            varied = self._tilt(windows * np.exp(gain).astype(np.float32))
        noise = np.asarray(self._config.noise) * self._rng.random((size, 1, 1))
        noisy = varied + noise * self._rng.standard_normal(varied.shape)
        return self._extractor.real(noisy), self._truth(which, *ends)

    def _truth(
        self,
        which: npt.NDArray[np.int64],
        first: npt.NDArray[np.int64],
        last: npt.NDArray[np.int64],
    ) -> npt.NDArray[Any]:
        """Labels [size], or targets [size, targets] of the samples `first` to `last`."""
        if self._targets is None or self._sums is None:
            return self._labels[which].astype(np.int64)
        if self._of_window == "last":
            return self._targets[last]
        before = self._sums[first] - self._targets[first]
        return ((self._sums[last] - before) / (last - first + 1)[:, None]).astype(np.float32)

    def _vary_inertial(self, windows: Float, speed: Float) -> Float:
        """Mirrored, rotated and scaled windows [size, window, 6]."""
        size = len(windows)
        windows[..., 3:] *= speed[:, None, None]  # angular rates follow the playing speed
        if self._config.mirror:
            flipped = self._rng.random(size) < 0.5
            windows[flipped] *= _MIRROR
        rotation = self._rotations(size)
        turned = np.concatenate([windows[..., :3] @ rotation, windows[..., 3:] @ rotation], 2)
        return self._vary_gain(turned)

    def _cut(self, which: npt.NDArray[np.int64]) -> tuple[Float, Float, list[Any]]:
        """(windows at random offsets, at a random speed by linear interpolation; the speed; the
        numbers of their first and last samples)."""
        size = len(which)
        log_speed = np.log(self._config.speed)
        speed = np.exp(self._rng.uniform(-log_speed, log_speed, size)).astype(np.float32)
        room = np.maximum(self._lengths[which] - 2 - speed * (self._window - 1), 0)
        first = self._rng.random(size) * room
        at = first[:, None] + speed[:, None] * np.arange(self._window)
        last = self._lengths[which][:, None] - 1
        at = np.minimum(at, last)
        floor = np.minimum(at.astype(np.int64), np.maximum(last - 1, 0))
        part = (at - floor).astype(np.float32)[..., None]
        index = self._starts[which][:, None] + floor
        ends = [index[:, 0], index[:, -1]]
        return self._samples[index] * (1 - part) + self._samples[index + 1] * part, speed, ends

    def _tilt(self, windows: Float) -> Float:
        """Each window with a tilted spectrum, as of another microphone; nothing gets larger.

        y[t] = (x[t] + a x[t-1]) / (1 + |a|), a between -tilt and tilt.
        """
        if not (largest := self._config.tilt):
            return windows
        a = self._rng.uniform(-largest, largest, (len(windows), 1, 1)).astype(np.float32)
        filtered: Float = windows / (1 + np.abs(a))
        filtered[:, 1:] += a / (1 + np.abs(a)) * windows[:, :-1]
        return filtered

    def _rotations(self, size: int) -> Float:
        """[size, 3, 3] rotations by a normal angle about uniform axes (Rodrigues' formula)."""
        axis = self._rng.standard_normal((size, 3))
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        angle = self._rng.standard_normal(size) * np.deg2rad(self._config.rotation_degrees)
        cross = np.zeros((size, 3, 3))
        cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
        cross -= cross.transpose(0, 2, 1)
        sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
        result = np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)
        rotations: Float = result.astype(np.float32)
        return rotations

    def _vary_gain(self, windows: Float) -> Float:
        """Scale the accelerometer's movement (not gravity) and the gyroscope."""
        gain = np.exp(self._rng.standard_normal((2, len(windows), 1, 1)) * self._config.gain)
        gravity = windows[..., :3].mean(axis=1, keepdims=True)
        moved = gravity + (windows[..., :3] - gravity) * gain[0]
        return np.concatenate([moved, windows[..., 3:] * gain[1]], 2).astype(np.float32)
