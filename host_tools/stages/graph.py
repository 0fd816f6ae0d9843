"""The graph of stages: what each reads, which fields of a recipe it uses, what it writes.

A recipe goes through network, check, train, quantise, profile, for classes rule, and emit; a model
made elsewhere through golden and emit. From there both have, for each board, build, parity, bench
and (with a front end) features; the report reads what has been measured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from host_tools.boards.board import TFLM, Board, load_board
from host_tools.build.engine import engine_facts, engine_files, named_arena, require_engine
from host_tools.build.libraries import sensor_setting
from host_tools.build.tools import build_files, builder_versions, compiler_version
from host_tools.emulators import EMULATORS
from host_tools.stages.engine import Stage
from model.background import background_files
from model.datasets import data_files
from model.decide import RECORD as RULE
from model.fields import field_values, restrict
from model.files import write_json
from model.network_config import OWN
from model.network_files import network_file
from model.recipe import Recipe
from model.speech import program_version
from model.tasks import RECORDS
from model.text import printable

# What a stage uses of a recipe besides its name; anything else raises (model.fields).
DATA = (
    *("dataset", "features", "task", "anomaly.normal", "multilabel.separator"),
    *(f"regression.{key}" for key in ("targets", "units", "of_window")),
)
TRAINING = (*DATA, "network", "augment", "train", "anomaly", "regression", "multilabel")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "network": ("dataset", "features", "task", "network", "train.seed"),
    "check": (*DATA, "checks", "title"),
    "train": (*TRAINING,),
    "quantise": (*TRAINING, "quantisation", "compression"),
    "profile": (*DATA, "augment.kind"),
    "rule": (*DATA, "decide"),
}
MANY_FILES = 1000  # more are told apart by their folders
IMPORTED = "import.json"  # how a model made elsewhere was taken over
REFERENCE_FILES = ("golden.npz", "labels.npz", *RECORDS.values(), "float.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a folder of results is about: a recipe, or a model made elsewhere."""

    folder: Path  # build/recipes/<name> or build/models/<name>-<hash8>
    name: str
    recipe: Recipe | None
    cases: int = 0  # random ones, of a model made elsewhere
    inputs: str | None = None  # a file of the folder with the user's own inputs
    float_model: str | None = None  # a file of the folder: the float original
    constants_bytes: int | None = None  # budget of the constants
    ram_bytes: int | None = None  # budget of the arena
    pending: Mapping[str, object] | None = None  # import.json, once a model has run so

    @property
    def says(self) -> str:
        """What names it on make's command line."""
        return f"{'MODEL' if self.recipe is None else 'RECIPE'}={self.name}"

    def stages(self) -> list[Stage]:
        """From the beginning to generated C."""
        recipe = self.recipe
        before = [self._golden()] if recipe is None else _recipe_stages(recipe, self.folder)
        return [*before, self._emit()]

    def remember(self) -> None:
        """Write how the model is run from now on, and drop what belonged to how it was run."""
        if self.recipe is not None:
            return
        if self.pending is not None:
            write_json(self.folder / IMPORTED, dict(self.pending))
        kept = (self.inputs, self.float_model)
        for pattern in ("inputs-*.npz", "float_model-*"):
            for path in self.folder.glob(pattern):
                if path.name not in kept:
                    path.unlink()

    def stages_to(self, last: str) -> list[Stage]:
        """Those up to the one of that name."""
        stages = self.stages()
        return stages[: [stage.name for stage in stages].index(last) + 1]

    def _golden(self) -> Stage:
        kept = [name for name in (self.inputs, self.float_model) if name]
        return Stage(
            name="golden",
            folder=self.folder,
            entry="quantize.stages.golden:golden",
            arguments={
                "out_dir": self.folder,
                "name": self.name,
                "cases": self.cases,
                "inputs": self.inputs,
                "float_model": self.float_model,
            },
            reads=("model.tflite", *kept),
            facts={
                "cases": str(self.cases) if self.inputs is None else "those of the inputs",
                "inputs": str(self.inputs),
                "float original": str(self.float_model),
            },
            writes=("golden.npz", "float.npz", "labels.npz"),
        )

    def _emit(self) -> Stage:
        recipe = self.recipe
        made = ("dataset.json", "profile.json", *RECORDS.values()) if recipe else ()
        decides = (RULE,) if recipe and recipe.task == "classification" else ()
        settings = field_values(recipe, [*recipe.as_dict()]) if recipe else {}
        return Stage(
            name="emit",
            folder=self.folder,
            entry="quantize.stages.emit:emit",
            arguments={
                "out_dir": self.folder,
                "name": self.name,
                "recipe": recipe,
                "constants_bytes": self.constants_bytes,
                "ram_bytes": self.ram_bytes,
            },
            reads=("model.tflite", "golden.npz", *made, *decides),
            facts={
                "name": self.name,
                "constants budget": str(self.constants_bytes),
                "RAM budget": str(self.ram_bytes),
                **settings,
            },
            writes=("gen/*/*",),
        )


def _recipe_stages(recipe: Recipe, folder: Path) -> list[Stage]:
    data = _named("data", data_files(recipe.dataset))
    heard = {**data, **_named("background", background_files(recipe))}
    parts = {
        name: {"recipe": restrict(recipe, fields), "out_dir": folder}
        for name, fields in FIELDS.items()
    }
    facts = {name: field_values(recipe, fields) for name, fields in FIELDS.items()}
    if recipe.augment.speech is not None:
        for name in ("train", "quantise"):
            facts[name]["eSpeak NG"] = program_version()
    own = network_file(recipe.network)
    network = {f"network {printable(os.fspath(own))}": own} if own else {}
    return [
        _network_stage(recipe, folder, network),
        Stage(
            name="check",
            folder=folder,
            entry="model.stages.check:check",
            arguments=parts["check"],
            outside=data,
            facts=facts["check"],
            writes=("dataset.json", "features.npz", "samples.npz", "data.html"),
        ),
        Stage(
            name="train",
            folder=folder,
            entry="model.stages.train:train",
            arguments={**parts["train"], "settings": recipe.as_dict()},
            reads=("features.npz",),
            outside={**heard, **network},
            facts=facts["train"],
            writes=("float.weights.h5", "train.json"),
            isolated=True,
        ),
        Stage(
            name="quantise",
            folder=folder,
            entry="quantize.stages.quantise:quantise",
            arguments=parts["quantise"],
            reads=("features.npz", "float.weights.h5"),
            outside={**heard, **network},
            facts=facts["quantise"],
            writes=("model.tflite", "quantize.json", "alternative/*", *REFERENCE_FILES),
            isolated=True,
        ),
        Stage(
            name="profile",
            folder=folder,
            entry="quantize.stages.profile:profile",
            arguments=parts["profile"],
            reads=("model.tflite",),
            outside=data,
            facts=facts["profile"],
            writes=("profile.json",),
            isolated=True,
        ),
        *([_rule_stage(folder, parts, facts, data)] if recipe.task == "classification" else ()),
    ]


def _rule_stage(
    folder: Path,
    parts: Mapping[str, Mapping[str, object]],
    facts: Mapping[str, Mapping[str, str]],
    data: Mapping[str, Path | tuple[Path, ...]],
) -> Stage:
    return Stage(
        name="rule",
        folder=folder,
        entry="quantize.stages.rule:rule",
        arguments=parts["rule"],
        reads=("model.tflite", "features.npz"),
        outside=data,
        facts=facts["rule"],
        writes=(RULE,),
    )


def _named(what: str, paths: list[Path]) -> dict[str, Path | tuple[Path, ...]]:
    """Each file by its name; the files of each folder together when they are many."""
    if len(paths) <= MANY_FILES:
        return {f"{what} {printable(os.fspath(path))}": path for path in paths}
    found: dict[Path, list[Path]] = {}
    for path in paths:
        found.setdefault(path.parent, []).append(path)
    return {
        f"{what} {printable(os.fspath(folder))} ({len(inside):,} files)": tuple(inside)
        for folder, inside in found.items()
    }


def _network_stage(recipe: Recipe, folder: Path, outside: Mapping[str, Path]) -> Stage:
    return Stage(
        name="network",
        folder=folder,
        entry="quantize.stages.network:network",
        arguments={"recipe": restrict(recipe, FIELDS["network"]), "out_dir": folder},
        outside=outside,
        facts=field_values(recipe, FIELDS["network"]),
        writes=("network.json",),
        isolated=recipe.network.kind in OWN,  # which TensorFlow looks at
    )


def firmware_stages(source: Source, board: Board, framework: str = "bare") -> list[Stage]:
    """All from the beginning to the firmware of a board; raises as require_engine does."""
    require_engine(board, framework)
    return [*source.stages(), *engine_stages(source.folder, board, framework)]


def engine_stages(folder: Path, board: Board, framework: str = "bare") -> list[Stage]:
    """The firmware of one board, and before it what its engine needs besides generated code."""
    build = build_stage(folder, board, framework)
    if board.engine != TFLM:
        return [build]
    emit = Stage(
        name=f"emit-{TFLM}",
        folder=folder,
        entry="quantize.stages.emit:emit_engine",
        arguments={"out_dir": folder, "arena_bytes": named_arena()},
        reads=("model.tflite", "golden.npz", "gen/ref/*"),
        facts={"arena": str(named_arena())},
        writes=(f"gen-{TFLM}/*",),
    )
    return [emit, build]


def build_stage(folder: Path, board: Board, framework: str = "bare") -> Stage:
    """Firmware of one board from generated C, into <folder>/<board>."""
    gen = [
        board.gen_dir(folder).relative_to(folder),
        *([Path("gen/ref")] if board.selftest else []),
    ]
    name = board.results(framework)
    compiler = {"compiler": compiler_version(board)} if framework == "bare" else {}
    return Stage(
        name=f"build-{name}",
        folder=folder,
        entry="host_tools.build.stage:build",
        arguments={"out_dir": folder, "board_name": board.folder, "framework": framework},
        reads=tuple(sorted(f"{path.as_posix()}/*" for path in gen)),
        outside=build_files() | engine_files(board),
        facts={"framework": framework}
        | {**compiler, **builder_versions(), **sensor_setting(), **engine_facts(board)},
        writes=tuple(f"{name}/{file}" for file in ("firmware.*", "size.json")),
    )


def _measured(
    folder: Path,
    board: Board,
    what: str,
    entry: str,
    more: Iterable[str],
    beside: Iterable[str] = (),
) -> Stage:
    """A stage that runs a board's firmware in its first emulator and writes <board>/<what>.json,
    and there the files `beside` it."""
    emulator = EMULATORS[board.emulators[0]]
    return Stage(
        name=f"{what}-{board.folder}",
        folder=folder,
        entry=entry,
        arguments={"out_dir": folder, "board_name": board.folder},
        reads=(
            f"{board.folder}/firmware.elf",
            f"{board.gen_dir(folder).relative_to(folder).as_posix()}/manifest.json",
            *more,
        ),
        facts={"emulator": emulator.name, "version of the emulator": emulator.version()},
        writes=(f"{board.folder}/{what}.json", *(f"{board.folder}/{name}" for name in beside)),
    )


def parity_stage(folder: Path, board: Board) -> Stage:
    """Every output byte of the board in its emulator, against TFLite Micro."""
    return _measured(folder, board, "parity", "host_tools.parity.stage:parity", REFERENCE_FILES)


def features_stage(folder: Path, board: Board) -> Stage:
    """The front end of the board against the host's."""
    more = ("golden.npz", "samples.npz", "model.tflite")
    return _measured(folder, board, "features", "host_tools.parity.stage:features", more)


def bench_stage(folder: Path, board: Board) -> Stage:
    """Instructions and memory of the board."""
    more = (f"{board.folder}/size.json", "golden.npz", "quantize.json", "alternative/*")
    return _measured(
        folder, board, "bench", "host_tools.bench.stage:bench", more, ("alternative.json",)
    )


REPORTED = (
    "dataset.json",
    "train.json",
    "cross_validation.json",
    "quantize.json",
    "classical.json",
    *RECORDS.values(),
    RULE,
    "drift.json",
    "float.weights.h5",
    "golden.npz",
    "gen/*/manifest.json",
    f"gen-{TFLM}/manifest.json",
    "*/compare.json",
    *(f"*/{name}*.json" for name in ("size", "parity", "bench", "features", "alternative")),
    "*/library.json",
    "search/*/search.json",
)


def report_stage(folder: Path) -> Stage:
    """report.html of whatever has been measured."""
    return Stage(
        name="report",
        folder=folder,
        entry="host_tools.report.write:report",
        arguments={"out_dir": folder},
        reads=REPORTED,
        writes=("report.html", "report.json", "plots/*.svg"),
    )


def classical_stages(
    source: Source, kind: str, exporter: str, boards: Iterable[Board]
) -> list[Stage]:
    """A model without a network beside the recipe's, in classical/<kind>-<exporter>, on boards."""
    assert source.recipe is not None
    folder = source.folder / "classical" / f"{kind}-{exporter}"
    fields = (*DATA, "train.seed", "classical")
    made = ("features.npz", "golden.npz", "model.tflite", "dataset.json")
    stages = [
        Stage(
            name="classical",
            folder=folder,
            entry="quantize.stages.classical:classical",
            arguments={
                "recipe": restrict(source.recipe, fields),
                "kind": kind,
                "exporter": exporter,
                "network_dir": source.folder,
                "out_dir": folder,
            },
            outside={name: source.folder / name for name in made},
            facts={"kind": kind, "exporter": exporter, **field_values(source.recipe, fields)},
            writes=("gen/*/*", "arduino/*/*", "golden.npz", "labels.npz", "classical.json"),
        )
    ]
    for board in boards:
        make_one = (build_stage, parity_stage, bench_stage)
        stages += [make(folder, board) for make in make_one]
    return stages


def measured_stages(source: Source, boards: Iterable[str]) -> list[Stage]:
    """To generated C, then every board: its firmware, parity, front end and counts."""
    stages = source.stages()
    for name in boards:
        board = load_board(name)
        stages += [*engine_stages(source.folder, board), parity_stage(source.folder, board)]
        if source.recipe is not None:
            stages.append(features_stage(source.folder, board))
        stages.append(bench_stage(source.folder, board))
    return stages


def demo_stages(source: Source, boards: Iterable[str]) -> list[Stage]:
    """Everything: what is measured of every board, then the report."""
    return [*measured_stages(source, boards), report_stage(source.folder)]


def model_name(path: Path) -> str:
    """The part of a folder's name that a model file gives: letters, digits, . _ -, at most 40."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem)[:40].strip("._-") or "model"
