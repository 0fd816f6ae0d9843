"""Classical models as C: integer features, trees exported by emlearn, linear models.

The features have one implementation, the C of firmware/classical. `HostC` compiles it for this
computer, so training sees what the board computes.
"""

from __future__ import annotations

import _ctypes
import ctypes
import math
import shutil
import subprocess
import weakref
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from model import __version__
from model.classical import Linear
from model.paths import ROOT
from quantize.emit_c import c_rows, render, safe_name
from quantize.errors import ModelError, QuantizeError
from quantize.ops.base import Int8Array

SOURCES = ROOT / "firmware" / "classical"
STATISTICS = 9  # numbers a channel
MAX_NODES = 30_000  # of a forest; about 10 bytes of code each
MAX_FEATURES = 4096
GCC = ("gcc", "-std=c11", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wconversion", "-Werror")
COMPILE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureShape:
    """What the features are computed from: `samples` x `channels` values of int8."""

    kind: str  # 'statistics' or 'input', as in model.recipe.ClassicalConfig
    samples: int
    channels: int

    def __post_init__(self) -> None:
        """Raises ModelError for windows that the 16-bit features cannot describe."""
        if self.kind == "statistics" and not 4 <= self.samples <= 32_767:
            raise ModelError(
                f"statistics of {self.samples} samples: expected 4 to 32767; set "
                'classical.features = "input" in the recipe'
            )
        if self.features > MAX_FEATURES:
            raise ModelError(
                f"{self.features} features, expected at most {MAX_FEATURES}; set "
                'classical.features = "statistics", or take fewer channels or samples'
            )

    @property
    def features(self) -> int:
        """How many."""
        return self.channels * (STATISTICS if self.kind == "statistics" else self.samples)


def plan_header(shape: FeatureShape, classes: int, name: str) -> str:
    """classical_plan.h, with which the C of SOURCES computes the features."""
    values = {
        "name": safe_name(name),
        "version": __version__,
        "statistics": shape.kind == "statistics",
        "samples": shape.samples,
        "channels": shape.channels,
        "features": shape.features,
        "classes": classes,
    }
    return render("classical_plan.h", **values)


def export_forest(forest: Any) -> str:
    """A fitted forest on integer features as C, by emlearn: functions forest_tree_0, _1, ...

    scikit-learn goes left where x <= threshold, emlearn where x < int(threshold). They are given
    floor(threshold) + 1, which is the same for every integer x.
    Raises ModelError for a forest of more than MAX_NODES decisions.
    """
    with np.errstate():  # emlearn makes numpy raise on every underflow, for the whole process
        import emlearn

    nodes = forest_nodes(forest)
    if nodes > MAX_NODES:
        raise ModelError(
            f"the forest has {nodes:,} decisions in {len(forest.estimators_)} trees, expected at "
            f"most {MAX_NODES:,}; lower classical.trees or classical.max_depth in the recipe"
        )
    shifted = [
        SimpleNamespace(
            n_features_in_=forest.n_features_in_,
            n_classes_=forest.n_classes_,
            tree_=SimpleNamespace(
                node_count=tree.tree_.node_count,
                children_left=tree.tree_.children_left,
                children_right=tree.tree_.children_right,
                feature=tree.tree_.feature,
                threshold=np.floor(tree.tree_.threshold) + 1,
                value=tree.tree_.value,
            ),
        )
        for tree in forest.estimators_
    ]
    wrapper = emlearn.convert(
        SimpleNamespace(estimators_=shifted),
        kind="RandomForestClassifier",
        method="inline",
        dtype="int16_t",
    )
    # emlearn's functions leave a parameter unused; its text is not ours to warn about
    return f"#pragma GCC system_header\n{wrapper.save(name='forest', include_proba=False)}"


def forest_nodes(forest: Any) -> int:
    """How many decisions all trees have."""
    return sum(int((tree.tree_.children_left >= 0).sum()) for tree in forest.estimators_)


def export_linear(linear: Linear, shape: FeatureShape, name: str) -> str:
    """Weights of 32 bits, sums of 64: near ties need more than sums of 32 bits can hold."""
    both = np.column_stack([linear.weights, linear.bias])
    largest = max(float(np.abs(linear.weights).max()), float(np.abs(linear.bias).max()) / 2**28)
    shift = 30 - math.frexp(largest)[1]  # |weights| < 2**30, |bias| < 2**58, |sums| < 2**60
    fixed = np.rint(both * 2.0**shift).astype(np.int64)
    return render(
        "model_linear.h",
        name=safe_name(name),
        version=__version__,
        shift=shift,
        classes=len(fixed),
        features=shape.features,
        weights=[c_rows([str(w) for w in row[:-1]], 8) for row in fixed],
        bias=c_rows([str(row[-1]) for row in fixed], 8),
    )


class HostC:
    """Generated C as a shared library of this computer."""

    def __init__(self, folder: Path) -> None:
        """Compile the generated C of `folder` there; QuantizeError without gcc or if it refuses."""
        if shutil.which(GCC[0]) is None:
            raise QuantizeError(f"{GCC[0]} is not on PATH; type: sudo apt-get install gcc")
        library = folder / "classical.so"
        sources = [*SOURCES.glob("*.c"), *folder.glob("*.c")]
        command = [*GCC, f"-I{folder}", f"-I{SOURCES}", "-o", str(library)]
        command += map(str, sorted(sources))
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMPILE_S, check=False
        )
        if done.returncode != 0:
            raise QuantizeError(
                f"{folder}: the exported C does not compile here: {done.stderr[-500:]}"
            )
        self._library = ctypes.CDLL(str(library))
        weakref.finalize(self, _ctypes.dlclose, self._library._handle)

    def features(self, inputs: Int8Array, shape: FeatureShape) -> npt.NDArray[np.int16]:
        """classical_features of each of `inputs` [n, samples * channels]: [n, features]."""
        rows = np.ascontiguousarray(inputs, np.int8).reshape(len(inputs), -1)
        counts = (ctypes.c_uint16 * 256)()  # CLASSICAL_COUNTS
        found = np.zeros((len(rows), shape.features), np.int16)
        for row, out in zip(rows, found, strict=True):
            self._library.classical_features(_pointer(row), _pointer(out), counts)
        return found

    def invoke(
        self, inputs: Int8Array, arena_bytes: int, output: tuple[int, int]
    ) -> npt.NDArray[np.uint8]:
        """model_invoke on each of `inputs`; `output` is (offset, bytes) in the arena."""
        rows = np.ascontiguousarray(inputs, np.int8).reshape(len(inputs), -1)
        arena = np.zeros(arena_bytes + 16, np.uint8)
        arena = arena[-arena.ctypes.data % 16 :][:arena_bytes]
        found = np.zeros((len(rows), output[1]), np.uint8)
        for row, out in zip(rows, found, strict=True):
            arena[: len(row)] = row.view(np.uint8)
            self._library.model_invoke(_pointer(arena))
            out[:] = arena[output[0] : output[0] + output[1]]
        return found


def _pointer(values: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)
