"""Trees as a C++ class by everywhereml: for the firmware, and for an Arduino sketch to take along.

everywhereml asks `x < threshold` where scikit-learn asks `x <= threshold`; it is given
floor(threshold) + 1, which is the same for every integer x, and integer features, with which its
comparisons are those of integers in the compiled code. It weighs the vote of a forest's tree by the
share that the class has in all of the tree's examples, not in the leaf, so that common classes win;
it is given shares of 1. Its include guard, the address of a Python
object, gets a name. It writes the names of classes as they are, so it gets them as C has them.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model import __version__
from model.classical import BOOSTING_RATE, Tree
from model.files import write_text
from model.processes import scratch_folder
from quantize.classical_c import (
    GXX,
    SOURCES,
    ModelCode,
    compile_here,
    includes,
    shared_library,
)
from quantize.emit_c import render, safe_name
from quantize.errors import ModelError, QuantizeError

# Kind -> the class here, the folder of everywhereml's templates, and the one to start with.
TEMPLATES = {
    "forest": ("RandomForest", "everywhereml/sklearn/ensemble", "RandomForestClassifier"),
    "tree": ("DecisionTree", "everywhereml/sklearn/tree", "DecisionTreeClassifier"),
    "boosting": ("BoostedTrees", "everywhereml/xgboost", "XGBClassifier"),
}
NO_TREE = {"left": [-1], "right": [-1], "features": [-2], "thresholds": [0.0], "classes": []}
MAX_CLASSES = 127  # its getLabelOf takes an int8_t
IN_SKETCH = ("classical.h", "classical_features.c")


def export_everywhereml(
    trees: Sequence[Tree], kind: str, name: str, labels: Sequence[str]
) -> ModelCode:
    """The class, the C function around it, and an Arduino sketch with the same class.

    Raises ModelError for too many classes, QuantizeError where everywhereml is not installed.
    """
    if len(labels) > MAX_CLASSES:
        raise ModelError(
            f"{len(labels)} classes, expected at most {MAX_CLASSES} for everywhereml; take "
            "EXPORTER=ours"
        )
    class_name = TEMPLATES[kind][0]
    header = class_header(trees, kind, name, labels)
    values = {
        "name": safe_name(name),
        "version": __version__,
        "class_name": class_name,
        "single": kind == "tree",
        "trees": _slots(trees, kind, len(labels)),
        "output_type": "int32_t" if kind == "boosting" else "int16_t",
    }
    sketch = {
        f"{class_name}.h": header,
        **{file: (SOURCES / file).read_text("utf-8") for file in IN_SKETCH},
        f"{class_name}.ino": render("classical.ino", **values),
    }
    return ModelCode(
        files={
            f"{class_name}.h": header,
            "model_export.h": render("model_everywhereml.h", **values),
            "model_export.cpp": render("model_everywhereml.cpp", **values),
        },
        decide="everywhereml_decide(features, output)",
        arduino=sketch,
    )


def class_header(
    trees: Sequence[Tree],
    kind: str,
    name: str,
    labels: Sequence[str],
    *,
    unchanged: bool = False,
) -> str:
    """What everywhereml writes; `unchanged`: with scikit-learn's thresholds and float features."""
    try:
        from everywhereml.code_generators import GeneratesCode
    except ImportError as error:
        raise QuantizeError(
            f"everywhereml is not installed ({error}); run `make setup`, or take another EXPORTER"
        ) from error
    class_name, folder, template = TEMPLATES[kind]

    class Model(GeneratesCode):  # type: ignore[misc]
        """What everywhereml's own wrappers around classifiers hand to its templates."""

        class_name = template
        template_folder = folder
        num_outputs = len(labels)

        def __str__(self) -> str:
            return f"{safe_name(name)}: by everywhereml for tinyproof {__version__}; do not edit."

        def get_template_data(self) -> dict[str, Any]:
            found = [_template_tree(tree, kind, unchanged=unchanged) for tree in trees]
            if kind == "tree":
                return found[0] | {"i": 0}
            if len(found) < _slots(trees, kind, len(labels)):  # the first of two classes has none
                found = [tree for one in found for tree in (NO_TREE, one)]
            return {"trees": found, "n_classes": len(labels)}

    model = Model()
    text = model.to_arduino(
        class_name=class_name,
        class_map={i: c_text(label) for i, label in enumerate(labels)},
        input_dtype="float" if unchanged else "int16_t",
    )
    guard = f"UUID{id(model)}"
    if text.count(guard) != 2:
        raise QuantizeError("everywhereml's include guard is not where 0.2.40 has it")
    text = text.replace(guard, f"{class_name.upper()}_H")
    return re.sub(r"\n\s*\n", "\n", text).strip() + "\n"


def c_text(text: str) -> str:
    """`text` for between the quotes of a C string: all but plain characters in octal."""
    return "".join(
        chr(byte)
        if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in " _.,:;+-=()<>")
        else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


def predictions(
    header: str, kind: str, features: npt.NDArray[np.int16], *, floats: bool
) -> npt.NDArray[np.int64]:
    """What `predict` of the class in `header` answers on this computer, to each row."""
    kind_of = np.float32 if floats else np.int16
    with scratch_folder("everywhereml") as folder:
        write_text(folder / f"{TEMPLATES[kind][0]}.h", header)
        text = render(
            "model_predict.cpp",
            class_name=TEMPLATES[kind][0],
            input_type="float" if floats else "int16_t",
        )
        write_text(folder / "predict.cpp", text)
        library = folder / "predict.so"
        compile_here(
            [*GXX, *includes(folder), "-shared", "-o", str(library), f"{folder}/predict.cpp"],
            folder,
        )
        rows = np.ascontiguousarray(features, kind_of)
        found = np.zeros(len(rows), np.int32)
        with shared_library(library) as loaded:
            loaded.predict_all(
                ctypes.c_void_p(rows.ctypes.data),
                ctypes.c_int32(rows.shape[1]),
                ctypes.c_int32(len(rows)),
                ctypes.c_void_p(found.ctypes.data),
            )
    return found.astype(np.int64)


def _slots(trees: Sequence[Tree], kind: str, classes: int) -> int:
    """How many trees the class has: boosted ones take turns, one for each class."""
    one_sided = kind == "boosting" and classes == 2
    return 2 * len(trees) if one_sided else len(trees)


def _template_tree(tree: Tree, kind: str, *, unchanged: bool) -> dict[str, Any]:
    """A tree under the names of the templates, numbers as Python writes them."""
    fitted, shares = tree.fitted, tree.fitted.value
    if kind == "forest" and not unchanged and tree.decides[0]:
        shares = shares.copy()
        shares[0] = 1
    thresholds = fitted.threshold if unchanged else np.floor(fitted.threshold) + 1
    if kind == "boosting":  # its leaves have their score in the place of a threshold
        scores = fitted.value[:, 0, 0] * BOOSTING_RATE if unchanged else tree.score
        thresholds = np.where(tree.decides, thresholds, scores)
    return {
        "left": fitted.children_left.tolist(),
        "right": fitted.children_right.tolist(),
        "features": fitted.feature.tolist(),
        "thresholds": thresholds.tolist(),
        "classes": shares,
    }
