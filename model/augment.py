"""Random variations of training windows.

Kind 'inertial' gives what another wearer, wrist or strap would have recorded; its channels are
accelerometer x, y, z and gyroscope x, y, z. Kind 'signal' is for any channels: speed, gain, rooms,
tilt of the spectrum, noise. The front end comes next, perhaps with another speaker's vocal tract;
then masks hide some of what it made, and windows are mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are used

from model.datasets.base import Recording
from model.features.library import Extractor
from model.recipe import AugmentConfig

Float = npt.NDArray[np.float32]
# A mirrored wrist: the accelerometer flips along x, the gyroscope (a pseudo-vector) across it.
_MIRROR = np.array([-1, 1, 1, 1, -1, -1], np.float32)
_DECAY_S = (0.05, 0.4)  # seconds in which the sound of a room decays by 60 dB
_REVERBERATION = (0.1, 1.0)  # its energy for each of the direct sound's


class WindowSampler:
    """Draws augmented training batches from recordings."""

    def __init__(
        self,
        recordings: Sequence[Recording],
        extractor: Extractor,
        config: AugmentConfig,
        seed: int,
        *,
        others: Sequence[Extractor] = (),
        sample_rate_hz: float = 1.0,
        of_window: str = "mean",
        background: Sequence[Float] = (),  # recordings to mix in, each of a window or more
        generated: Sequence[Recording] = (),  # further ones, of the share of config.speech
    ) -> None:
        """`others`: the front end for other vocal tracts, taken as often as `extractor` each."""
        self._own, self._generated = len(recordings), len(generated)
        recordings = [*recordings, *generated]
        self._lengths = np.array([len(r.values) for r in recordings])
        self._recordings = recordings
        self._labels = np.array([r.label for r in recordings])
        self._of_window = of_window
        self._extractors = [extractor, *others]
        self._rate = sample_rate_hz
        self._window, self._channels = extractor.front_end.window, extractor.front_end.channels
        self._config = config
        self._rng = np.random.default_rng(seed)
        self._background = background

    def batch(self, size: int) -> tuple[Float, npt.NDArray[Any]]:
        """(network inputs [size, rows, columns], truth [size, ...]) of random places of recordings.

        The truth are labels, or the targets of the samples that the window was cut from.

        Samples are varied in their units; then the front end sees what a sensor would give.
        """
        which = self._drawn(size)
        windows, speed, ends = self._cut(which)
        if self._config.kind == "inertial":
            varied = self._vary_inertial(windows, speed)
        else:
            gain = self._rng.standard_normal((size, 1, 1)) * self._config.gain
            varied = self._tilt(self._rooms(windows * np.exp(gain).astype(np.float32)))
        if self._background:
            varied = varied + self._pieces(varied)
        noise = np.asarray(self._config.noise) * self._rng.random((size, 1, 1))
        noisy = varied + noise * self._rng.standard_normal(varied.shape)
        inputs = self._masked(self._features(noisy))
        return inputs, self._truth(which, *ends)

    def _drawn(self, size: int) -> npt.NDArray[np.int64]:
        """Numbers of recordings, of the generated ones as many as their share asks."""
        which = self._rng.integers(self._own, size=size)
        if self._generated and self._config.speech is not None:
            chosen = self._rng.random(size) < self._config.speech.share
            others = self._own + self._rng.integers(self._generated, size=size)
            which = np.where(chosen, others, which)
        return which

    def _truth(
        self,
        which: npt.NDArray[np.int64],
        first: npt.NDArray[np.int64],
        last: npt.NDArray[np.int64],
    ) -> npt.NDArray[Any]:
        """Labels [size], or targets [size, targets] of the samples `first` to `last`."""
        targets = [self._recordings[i].targets for i in which]
        if targets[0] is None:
            return self._labels[which].astype(np.int64)
        parts = [
            t[a : b + 1] for t, a, b in zip(targets, first, last, strict=True) if t is not None
        ]
        if self._of_window == "last":
            return np.stack([part[-1] for part in parts])
        return np.stack([part.mean(axis=0, dtype=np.float64) for part in parts]).astype(np.float32)

    def mix(self, inputs: Float, targets: Float) -> tuple[Float, Float]:
        """Each input [size, ...] mixed with another one, and its target alike; see mixup."""
        if not (spread := self._config.mixup):
            return inputs, targets
        size = len(inputs)
        part = self._rng.beta(spread, spread, size).astype(np.float32)
        other = self._rng.permutation(size)
        mixed = [
            values * (share := part.reshape(-1, *[1] * (values.ndim - 1)))
            + values[other] * (1 - share)
            for values in (inputs, targets)
        ]
        return mixed[0], mixed[1]

    def _features(self, windows: npt.NDArray[np.floating]) -> Float:
        """Network inputs, each from a front end that is drawn for it."""
        if len(self._extractors) == 1:
            return self._extractors[0].real(windows)
        drawn = self._rng.integers(len(self._extractors), size=len(windows))
        front_end = self._extractors[0].front_end
        inputs = np.empty((len(windows), front_end.rows, front_end.columns), np.float32)
        for i, extractor in enumerate(self._extractors):
            if (chosen := drawn == i).any():
                inputs[chosen] = extractor.real(windows[chosen])
        return inputs

    def _masked(self, inputs: Float) -> Float:
        """Some neighbouring rows, and columns, of each input [size, rows, columns] at its mean."""
        mean = inputs.mean(axis=(1, 2), keepdims=True)
        for axis, most in ((1, self._config.mask_rows), (2, self._config.mask_columns)):
            if most:
                length = inputs.shape[axis]
                width = self._rng.random(len(inputs)) * most * length
                first = self._rng.random(len(inputs)) * (length - width)
                at = np.arange(length)
                hidden = (at >= first[:, None]) & (at + 1 <= (first + width)[:, None])
                inputs = np.where(np.expand_dims(hidden, 3 - axis), mean, inputs)
        return inputs

    def _rooms(self, windows: Float) -> Float:
        """Some of the windows [size, window, channels] with the reverberation of a random room.

        A room's response is the direct sound and noise that decays behind it; together they have
        the energy of the direct sound alone.
        """
        if not self._config.room:
            return windows
        chosen = np.flatnonzero(self._rng.random(len(windows)) < self._config.room)
        length = min(max(round(_DECAY_S[1] * self._rate), 2), self._window)
        time = np.arange(1, length) / self._rate
        decay = self._rng.uniform(*_DECAY_S, (len(chosen), 1))
        tail = self._rng.standard_normal((len(chosen), length - 1)) * 10 ** (-3 * time / decay)
        low, high = np.log(_REVERBERATION)
        energy = np.exp(self._rng.uniform(low, high, (len(chosen), 1)))
        tail *= np.sqrt(energy / np.maximum((tail**2).sum(axis=1, keepdims=True), 1e-12))
        response = np.concatenate([np.ones((len(chosen), 1)), tail], 1) / np.sqrt(1 + energy)
        points = scipy.fft.next_fast_len(self._window + length - 1, real=True)
        spectra = scipy.fft.rfft(response.astype(np.float32), points)[:, :, None]
        heard = windows.copy()
        sound = scipy.fft.irfft(
            scipy.fft.rfft(windows[chosen], points, axis=1) * spectra, points, axis=1
        )
        heard[chosen] = sound[:, : self._window]
        return heard

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
        windows = np.empty((size, self._window, self._channels), np.float32)
        for row, i in enumerate(which):
            values, index = self._recordings[i].values, floor[row]
            after = np.minimum(index + 1, len(values) - 1)
            windows[row] = values[index] * (1 - part[row]) + values[after] * part[row]
        return windows, speed, [floor[:, 0], floor[:, -1]]

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
