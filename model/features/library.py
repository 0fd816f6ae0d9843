"""The front ends in C, called from Python."""

from __future__ import annotations

import functools
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt

from model.features.build import build_library
from model.features.design import FrontEnd

Int16 = npt.NDArray[np.int16]
STAGES = ("window", "spectrum", "bands", "features", "input")  # fe_stage_t


@functools.cache
def _library() -> tuple[Any, Any]:
    path, declarations = build_library()
    ffi = cffi.FFI()
    ffi.cdef(declarations)
    return ffi, ffi.dlopen(str(path))


class Extractor:
    """One stream of samples through a front end; `batch` has a state of its own for each window."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self._ffi, self._c = _library()
        self._kept: list[Any] = []  # cffi frees what nothing in Python refers to
        self._config = self._make_config()
        self.state_bytes = int(self._c.fe_state_bytes(self._config))
        self._state = self._ffi.new("uint64_t[]", -(-self.state_bytes // 8))
        self._trace: Any = None
        self.reset()

    def reset(self) -> None:
        """Forget all samples; ends a trace."""
        self._c.fe_reset(self._config, self._state)
        self._trace = None

    def trace(self) -> None:
        """Hash the stages from now on."""
        self._trace = self._ffi.new("fe_trace_t *")
        self._c.fe_trace(self._state, self._trace)

    def hashes(self) -> dict[str, int]:
        """Stage -> FNV-1a hash since `trace`."""
        return dict(zip(STAGES, self._trace.hash, strict=True))

    def push(self, samples: Int16) -> Int16:
        """Samples [n, channels] -> features of the network inputs that they complete [m, r, c]."""
        fe = self.front_end
        samples = self._checked(samples, (fe.channels,))
        room = 1 + len(samples) // fe.hop
        features = np.zeros((room, fe.rows, fe.columns), np.int16)
        made = self._c.fe_stream(
            self._config, self._state, self._int16(samples), len(samples), self._int16(features)
        )
        return features[:made]

    def batch(self, samples: Int16) -> Int16:
        """Windows [n, window, channels] -> features [n, rows, columns], each from a new start."""
        fe = self.front_end
        samples = self._checked(samples, (fe.window, fe.channels))
        features = np.empty((len(samples), fe.rows, fe.columns), np.int16)
        self._c.fe_batch(
            self._config, self._state, self._int16(samples), len(samples), self._int16(features)
        )
        self.reset()
        return features

    def real(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Windows [n, window, channels] in their units -> network inputs [n, rows, columns]."""
        features = self.batch(self.front_end.to_lsb(values))
        return features.astype(np.float32) * np.float32(self.front_end.feature_scale)

    def _checked(self, samples: Int16, shape: tuple[int, ...]) -> Int16:
        if samples.dtype != np.int16 or samples.shape[1:] != shape:
            raise ValueError(
                f"samples {samples.dtype} {samples.shape}: expected int16 [n, *{shape}]"
            )
        return np.ascontiguousarray(samples)

    def _int16(self, values: npt.NDArray[Any], ctype: str = "int16_t *") -> Any:
        return self._ffi.cast(ctype, values.ctypes.data)

    def _constant(self, values: npt.NDArray[Any], ctype: str) -> Any:
        kept = np.ascontiguousarray(values)
        self._kept.append(kept)
        return self._ffi.cast(ctype, kept.ctypes.data)

    def _make_config(self) -> Any:
        fe = self.front_end
        config = self._ffi.new("fe_config_t *")
        config.push = getattr(self._c, f"fe_push_{fe.kind}")
        for name in fe.INTEGERS:
            setattr(config, name, getattr(fe, name))
        config.scales = self._constant(fe.scales, "fe_scale_t *")
        if fe.mean is not None:
            config.mean = self._constant(fe.mean, "int16_t *")
        if fe.spectrum is not None:
            spectrum = self._ffi.new("fe_spectrum_t *")
            self._kept.append(spectrum)
            for name in fe.spectrum.INTEGERS:
                setattr(spectrum, name, getattr(fe.spectrum, name))
            spectrum.window = self._constant(fe.spectrum.window, "int16_t *")
            spectrum.twiddles = self._constant(fe.spectrum.twiddles, "int16_t *")
            spectrum.bank = self._constant(fe.spectrum.bank, "fe_filter_t *")
            spectrum.weights = self._constant(fe.spectrum.weights, "uint16_t *")
            spectrum.logarithm = self._constant(fe.spectrum.logarithm, "uint16_t *")
            config.spectrum = spectrum
        return config


def quantise_features(
    features: Int16, multiplier: int, shift: int, zero_point: int
) -> npt.NDArray[np.int8]:
    """fe_quantise: int16 features as the network's int8 input, same shape."""
    ffi, c = _library()
    source = np.ascontiguousarray(features, np.int16)
    result = np.empty(source.shape, np.int8)
    c.fe_quantise(
        ffi.cast("int16_t *", source.ctypes.data),
        source.size,
        multiplier,
        shift,
        zero_point,
        ffi.cast("int8_t *", result.ctypes.data),
    )
    return result
