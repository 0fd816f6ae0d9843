"""A folder with the double of TFLite Micro's API (tests/tflm_double) for one model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from host_tools.library.sources import needed_kernels
from quantize.emit_tflm import method_name
from quantize.tflite.schema import OPERATOR_NAMES
from tests.host_c import KERNELS

SOURCES = Path(__file__).with_name("tflm_double")
RENAMED = ("reset", "step", "invoke", "sha256", "inputs", "outputs")
RESOLVER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"


def write_double(
    folder: Path,
    out_dir: Path,
    *,
    upstream: bool = False,
    refuses: bool = False,
    without: str = "",
) -> Path:
    """The double for the model of `out_dir`, whose gen/ref and gen-tflm are there.

    `refuses`: operators do not prepare; `without`: a method that its resolver does not have.
    """
    shutil.copytree(SOURCES, folder)
    gen, src = out_dir / "gen" / "ref", folder / "src"
    code = src / "generated"
    code.mkdir()
    kernels = needed_kernels("ref", (gen / "model.c").read_text())
    for path in (*KERNELS.glob("*.h"), *kernels, gen / "model.h"):
        shutil.copy(path, code)
    renamed = "".join(f"#define model_{name} double_{name}\n" for name in RENAMED)
    (code / "model.c").write_text(renamed + (gen / "model.c").read_text())
    resolver = src / RESOLVER
    known = [name for name in OPERATOR_NAMES if method_name(name) != without]
    methods = [
        f"TfLiteStatus {method_name(name)}() {{ return add({OPERATOR_NAMES.index(name)}); }}\n"
        for name in known
    ]
    resolver.write_text(resolver.read_text().replace("/* METHODS */", "".join(methods)))
    (src / "double_plan.h").write_text(_plan(out_dir, refuses=refuses))
    if upstream:
        header = src / "tflm_double.h"
        header.write_text("#define DOUBLE_UPSTREAM\n" + header.read_text())
    return folder


def _plan(out_dir: Path, *, refuses: bool) -> str:
    """Which step of generated code each operator of the file stands for, and where tensors lie."""
    ours = json.loads((out_dir / "gen" / "ref" / "manifest.json").read_text())
    file = json.loads((out_dir / "gen-tflm" / "manifest.json").read_text())
    places = {tensor: a["offset"] for a in ours["arena"] for tensor in a["tensors"]}
    known = {op["index"]: op for op in ours["operators"]}
    rows, offsets = [], []
    for op in file["operators"]:
        own = known.get(op["operator"])
        step = -1 if own is None or own["step"] is None else own["step"]
        written = [own["output"]["tensor"]] if own else []
        code = OPERATOR_NAMES.index(op["op"])
        rows.append(f"{{{code}, {step}, {len(written)}, {len(offsets)}}}")
        offsets += [places[tensor] for tensor in written]
    ends = [[t["offset"] for t in ours[side]] for side in ("inputs", "outputs")]
    return "\n".join(
        (
            "#include <stdint.h>",
            f"#define DOUBLE_OPERATORS {len(rows)}",
            f"#define DOUBLE_ARENA_BYTES {ours['arena_bytes']}",
            f"#define DOUBLE_REFUSES {int(refuses)}",
            "struct double_operator { int32_t code, step, outputs, first; };",
            _array("double_operator double_operators", rows),
            _array("uint32_t double_offsets", [str(o) for o in offsets]),
            _array("uint32_t double_inputs", [str(o) for o in ends[0]]),
            _array("uint32_t double_outputs", [str(o) for o in ends[1]]),
            "",
        )
    )


def _array(name: str, values: list[str]) -> str:
    return f"static const {name}[] = {{{', '.join(values)}}};"
