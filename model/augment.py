"""Random variations of training windows.

Kind 'inertial' gives what another wearer, wrist or strap would have recorded; its channels are
accelerometer x, y, z and gyroscope x, y, z. Kind 'signal' is for any channels: speed, gain, tilt
of the spectrum, noise.
"""

from __future__ import annotations

from collections.abc import Sequence

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
        background: Sequence[Float] = (),  # recordings to mix in, each of a window or more
    ) -> None:
        self._lengths = np.array([len(r.values) for r in recordings])
        self._recordings = recordings
        self._labels = np.array([r.label for r in recordings])
        self._extractor = extractor
        self._window, self._channels = extractor.front_end.window, extractor.front_end.channels
        self._config = config
        self._rng = np.random.default_rng(seed)
        self._background = background

    def batch(self, size: int) -> tuple[Float, npt.NDArray[np.int64]]:
        """(network inputs [size, rows, columns], labels [size]) of random places of recordings.

        Samples are varied in their units; then the front end sees what a sensor would give.
        """
        which = self._rng.integers(len(self._lengths), size=size)
        windows, speed = self._cut(which)
        if self._config.kind == "inertial":
            varied = self._vary_inertial(windows, speed)
        else:
            gain = self._rng.standard_normal((size, 1, 1)) * self._config.gain
            varied = self._tilt(windows * np.exp(gain).astype(np.float32))
        if self._background:
            varied = varied + self._pieces(varied)
        noise = np.asarray(self._config.noise) * self._rng.random((size, 1, 1))
        noisy = varied + noise * self._rng.standard_normal(varied.shape)
        return self._extractor.real(noisy), self._labels[which].astype(np.int64)

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

    def _cut(self, which: npt.NDArray[np.int64]) -> tuple[Float, Float]:
        """Windows at random offsets, resampled to a random speed by linear interpolation."""
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
        windows = np.empty((size, self._window, self._channels), np.float32)
        for row, i in enumerate(which):
            values, index = self._recordings[i].values, floor[row]
            after = np.minimum(index + 1, len(values) - 1)
            windows[row] = values[index] * (1 - part[row]) + values[after] * part[row]
        return windows, speed

    def _pieces(self, windows: Float) -> Float:
        """Of the background, as loud as the recipe says for each window; 0 for the others.

        Powers are those of each channel about its mean; what rests in a window gets nothing.
        """
        pieces = np.zeros_like(windows)
        low, high = self._config.background_snr_db
        for row in np.flatnonzero(self._rng.random(len(windows)) < self._config.background_share):
            values = self._background[int(self._rng.integers(len(self._background)))]
            start = self._rng.integers(len(values) - self._window + 1)
            piece = values[start : start + self._window]
            power = windows[row].var(axis=0) / 10 ** (self._rng.uniform(low, high) / 10)
            piece = piece - piece.mean(axis=0)
            pieces[row] = piece * np.sqrt(power / np.maximum(piece.var(axis=0), 1e-30))
        return pieces

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
