"""What is known here of the model that a board names: its classes, its outputs, its images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import UsageError
from host_tools.link.said import LOWEST, SCALE
from host_tools.report.results import read_result
from model.text import printable
from quantize.errors import ModelError

CLASSES = "classification"  # a recipe's task whose outputs are scores of one class each
MAX_IMAGES = 16  # of a fault's, the newest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of a project's build folder; of one that is not there the defaults hold."""

    labels: tuple[str, ...] = ()
    output_bytes: int = 0  # of the first output; 0: not known
    scale: float = SCALE
    zero_point: int = LOWEST


UNKNOWN = Model()


def find_model(build: Path, sha256: str) -> Model:
    """The model of that hash in `build`; UNKNOWN without it, or with a damaged manifest only."""
    for path in sorted(build.glob("*/*/gen*/**/manifest.json")):
        try:
            manifest = read_result(path, "model_sha256", "outputs", "labels", "settings")
            if manifest["model_sha256"] != sha256:
                continue
            output = manifest["outputs"][0]
            labels = manifest["labels"] or ()
            scores = manifest["settings"].get("task", CLASSES) == CLASSES
            fits = scores and len(labels) == output["bytes"]
            return Model(
                labels=tuple(printable(str(label)) for label in labels) if fits else (),
                output_bytes=int(output["bytes"]),
                scale=float(output["scale"]),
                zero_point=int(output["zero_point"]),
            )
        except (UsageError, OSError, LookupError, TypeError, ValueError, AttributeError):
            continue
    return UNKNOWN


def find_tests(build: Path, number: int) -> tuple[str, ...]:
    """What the profile of that number counts, by name; () when it is not in `build`."""
    from quantize.drift import load_profile  # takes seconds, and few sessions see a DRIFT

    for path in sorted(build.glob("recipes/*/profile.json")):
        try:
            if read_result(path, "number")["number"] == number:
                return tuple(map(printable, load_profile(path).plan.tests))
        except (UsageError, ModelError, OSError):
            continue
    return ()


def find_images(build: Path) -> list[Path]:
    """The firmware in `build`, the newest first: a fault's own build id says which it is of."""
    found = build.glob("*/*/*/firmware.elf")
    dated = []
    for path in found:
        try:
            dated.append((path.stat().st_mtime, path))
        except OSError:
            continue
    return [path for _, path in sorted(dated, reverse=True)[:MAX_IMAGES]]
