"""Classical models as C: integer features, trees by emlearn or as tables of ours, linear models.

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from model import __version__
from model.classical import Linear, Tree
from model.paths import ROOT
from quantize.emit_c import c_rows, render, safe_name
from quantize.errors import ModelError, QuantizeError
from quantize.ops.base import Int8Array

SOURCES = ROOT / "firmware" / "classical"
STATISTICS = 9  # numbers a channel
MAX_NODES = 30_000  # of all trees; about 10 bytes of code each
MAX_FEATURES = 4096
STRICT = ("-O1", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror")
GCC = ("gcc", "-std=c11", *STRICT)
GXX = ("g++", "-std=c++17", "-fno-exceptions", "-fno-rtti", *STRICT)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCode:
    """A model as C or C++."""

    files: Mapping[str, str]  # model_export.h and what it needs
    decide: str  # the call that turns `features` into `output`
    constants: Mapping[str, int] = field(default_factory=dict)  # name -> bytes, where in tables
    emlearn_trees: int = 0  # functions forest_tree_0, _1, ... that are counted here
    arduino: Mapping[str, str] = field(default_factory=dict)  # files of a sketch to take along


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


def check_trees(trees: Sequence[Tree]) -> None:
    """Raises ModelError for more than MAX_NODES decisions and trees."""
    nodes = tree_nodes(trees) + len(trees)
    if nodes > MAX_NODES:
        raise ModelError(
            f"the model has {nodes - len(trees):,} decisions in {len(trees)} trees, together "
            f"expected at most {MAX_NODES:,}; lower classical.trees or classical.max_depth in the "
            "recipe"
        )


def tree_nodes(trees: Sequence[Tree]) -> int:
    """How many decisions all trees have."""
    return sum(int(tree.decides.sum()) for tree in trees)


def export_emlearn(trees: Sequence[Tree], classes: int, features: int) -> ModelCode:
    """Trees that vote as C functions by emlearn.

    scikit-learn goes left where x <= threshold, emlearn where x < int(threshold). They are given
    floor(threshold) + 1, which is the same for every integer x.
    """
    with np.errstate():  # emlearn makes numpy raise on every underflow, for the whole process
        import emlearn

    shifted = [
        SimpleNamespace(
            n_features_in_=features,
            n_classes_=classes,
            tree_=SimpleNamespace(
                node_count=tree.fitted.node_count,
                children_left=tree.fitted.children_left,
                children_right=tree.fitted.children_right,
                feature=tree.fitted.feature,
                threshold=np.floor(tree.fitted.threshold) + 1,
                value=tree.fitted.value,
            ),
        )
        for tree in trees
    ]
    wrapper = emlearn.convert(
        SimpleNamespace(estimators_=shifted),
        kind="RandomForestClassifier",
        method="inline",
        dtype="int16_t",
    )
    # emlearn's functions leave a parameter unused; its text is not ours to warn about
    text = f"#pragma GCC system_header\n{wrapper.save(name='forest', include_proba=False)}"
    return ModelCode(
        files={"model_export.h": text},
        decide="emlearn_votes(features, output)",
        emlearn_trees=len(trees),
    )


def export_tables(trees: Sequence[Tree], kind: str, name: str) -> ModelCode:
    """Trees as tables: a decision has 8 bytes, a leaf of boosted trees 4, of voting trees none."""
    boosting = kind == "boosting"
    nodes: list[tuple[int, int, int, int]] = []
    scores: list[int] = []
    roots: list[int] = []
    for tree in trees:
        number = np.cumsum(tree.decides) - 1 + len(nodes)  # of a decision among all
        fitted = tree.fitted

        def place(node: int, tree: Tree = tree, number: npt.NDArray[Any] = number) -> int:
            """A decision as its number, a leaf as ~its class or ~the place of its score."""
            if tree.decides[node]:
                return int(number[node])
            if not boosting:
                return ~int(tree.group[node])
            scores.append(int(tree.score[node]))
            return ~(len(scores) - 1)

        roots.append(place(0))
        for node in np.flatnonzero(tree.decides).tolist():
            left, right = (
                place(int(c[node])) for c in (fitted.children_left, fitted.children_right)
            )
            nodes.append(
                (int(fitted.feature[node]), math.floor(fitted.threshold[node]), left, right)
            )
    text = render(
        "model_trees.h",
        name=safe_name(name),
        version=__version__,
        boosting=boosting,
        nodes=c_rows(
            [f"{{{f}, {t}, {{{a}, {b}}}}}" for f, t, a, b in nodes or [(0, 0, -1, -1)]], 4
        ),
        node_count=max(len(nodes), 1),
        roots=c_rows([str(root) for root in roots]),
        groups=c_rows([str(int(tree.group[0])) for tree in trees]),
        trees=len(trees),
        scores=c_rows([str(score) for score in scores], 8),
        score_count=len(scores),
    )
    constants = {"model_w_nodes": 8 * max(len(nodes), 1), "model_w_roots": 2 * len(trees)}
    call = "classical_votes(model_w_nodes, model_w_roots, MODEL_TREES, features, output)"
    if boosting:
        constants |= {"model_w_scores": 4 * len(scores), "model_w_groups": 2 * len(trees)}
        call = (
            "classical_boosting(model_w_nodes, model_w_roots, model_w_groups, model_w_scores,\n"
            "                           MODEL_TREES, features, output)"
        )
    return ModelCode(files={"model_export.h": text}, decide=call, constants=constants)


def export_linear(linear: Linear, shape: FeatureShape, name: str) -> ModelCode:
    """Weights of 32 bits, sums of 64: near ties need more than sums of 32 bits can hold."""
    both = np.column_stack([linear.weights, linear.bias])
    largest = max(float(np.abs(linear.weights).max()), float(np.abs(linear.bias).max()) / 2**28)
    shift = 30 - math.frexp(largest)[1]  # |weights| < 2**30, |bias| < 2**58, |sums| < 2**60
    fixed = np.rint(both * 2.0**shift).astype(np.int64)
    text = render(
        "model_linear.h",
        name=safe_name(name),
        version=__version__,
        shift=shift,
        classes=len(fixed),
        features=shape.features,
        weights=[c_rows([str(w) for w in row[:-1]], 8) for row in fixed],
        bias=c_rows([str(row[-1]) for row in fixed], 8),
    )
    return ModelCode(
        files={"model_export.h": text},
        decide="classical_linear(model_w_linear, model_w_bias, features, output)",
        constants={
            "model_w_linear": 4 * len(fixed) * shape.features,
            "model_w_bias": 8 * len(fixed),
        },
    )


class HostC:
    """Generated C as a shared library of this computer."""

    def __init__(self, folder: Path) -> None:
        """Compile the generated C of `folder` there; QuantizeError without gcc or if it refuses."""
        library = folder / "classical.so"
        objects = []
        for source in sorted(folder.glob("*.cpp")):
            objects.append(str(source.with_suffix(".o")))
            compile_here([*GXX, *includes(folder), "-c", "-o", objects[-1], str(source)], folder)
        sources = sorted(str(file) for place in (SOURCES, folder) for file in place.glob("*.c"))
        compile_here(
            [*GCC, *includes(folder), "-shared", "-o", str(library), *sources, *objects], folder
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


def includes(folder: Path) -> list[str]:
    """Options for where headers lie."""
    return [f"-I{folder}", f"-I{SOURCES}"]


def compile_here(command: Sequence[str], folder: Path) -> None:
    """Run a compiler; QuantizeError where it is missing or refuses the code of `folder`."""
    if shutil.which(command[0]) is None:
        raise QuantizeError(f"{command[0]} is not on PATH; type: sudo apt-get install {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)
    if done.returncode != 0:
        raise QuantizeError(f"{folder}: the exported C does not compile here: {done.stderr[-500:]}")


@contextmanager
def shared_library(path: Path) -> Iterator[ctypes.CDLL]:
    """Load a library, and unload it behind that."""
    library = ctypes.CDLL(str(path))
    try:
        yield library
    finally:
        _ctypes.dlclose(library._handle)
