"""Candidates of a search: recipes with another network, what they cost on a board, their scores.

They are trained by jobs (model.jobs), here or on a cluster, and measured here.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from host_tools.bench.stage import measure_model
from host_tools.boards.board import Board
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.target import choose_target
from host_tools.search.budget import Budget, Cost
from model.attachments import attachments
from model.datasets import load_dataset
from model.datasets.lists import split_groups
from model.datasets.truth import truth_of
from model.errors import ClusterError, ModelSideError
from model.files import write_bytes, write_text
from model.jobs import Jobs
from model.network_config import NetworkConfig
from model.recipe import CompressionConfig, Recipe
from model.search_space import propose as propose_model
from model.search_space import require_choices, smaller, value_of, varied, with_values
from model.toml_reader import build
from model.toml_writer import to_toml
from quantize.errors import QuantizeError

NOT_TRAINED = "over the budget, not trained"
PROBLEMS = (HostToolsError, ModelSideError, QuantizeError)  # of a candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One trial: what it costs on the board, and how good it is when it was trained."""

    trial: int  # -1: the recipe itself
    settings: dict[str, Any]  # network, compression, qat_steps, vary: keys of [search]
    cost: Cost | None = None
    val: float | None = None  # what the task measures, of the int8 model
    test: float | None = None
    quantisation: str | None = None  # ptq or qat, chosen by validation
    deflated: int | None = None  # bytes of the .tflite after compression for transport
    folds: float | None = None  # mean over folds of all groups but the test groups; finalists only
    problem: str | None = None


def propose(trial: optuna.Trial, recipe: Recipe) -> Recipe:
    """A recipe with another network, compression and values of [search]; same task and data."""
    recipe, compression = propose_model(trial, recipe), None
    sparsity = trial.suggest_categorical("sparsity", (0.0, 0.5, 0.75))
    clusters = trial.suggest_categorical("clusters", (0, 16, 32))
    if sparsity or clusters:
        compression = CompressionConfig(
            sparsity=sparsity,
            clusters=clusters,
            steps=max(recipe.train.steps // 2, 1),
            learning_rate=recipe.train.learning_rate / 3,
        )
    quantisation = recipe.quantisation
    if not trial.suggest_categorical("qat", (False, True)):
        quantisation = dataclasses.replace(quantisation, qat_steps=0)
    return dataclasses.replace(recipe, compression=compression, quantisation=quantisation)


def first_proposals(recipe: Recipe) -> list[dict[str, Any]]:
    """The recipe's own network made smaller, as parameters of `propose`."""
    rest = {"sparsity": 0.0, "clusters": 0, "qat": True}
    return [found | rest for found in smaller(recipe)]


class Search:
    """One study in `out_dir`/search: candidates of `recipe` on the emulated `board`."""

    def __init__(self, recipe: Recipe, board: Board, out_dir: Path, steps: int) -> None:
        emulator = choose_target(board, None, None).emulator
        if emulator is None or emulator.unit != "instructions":
            raise UsageError(
                f"board {board.id}: nothing counts its instructions; "
                "search on qemu_m4 or qemu_xtensa"
            )
        require_choices(recipe)  # refused before anything is trained
        self.recipe, self.board, self.emulator = recipe, board, emulator.name
        self.folder = out_dir / "search" / board.folder
        self.short = dataclasses.replace(
            recipe, train=dataclasses.replace(recipe.train, steps=steps)
        )
        self.features = out_dir / "features.npz"
        if not self.features.exists():
            raise UsageError(
                f"{self.features}: no windows to train on; run `make check RECIPE={recipe.name}`"
            )
        self.dataset = load_dataset(recipe.dataset, truth_of(recipe))
        everyone = {r.group for r in self.dataset.recordings}
        trained = everyone - split_groups(self.dataset, recipe.dataset)["test"]
        # model.train.cross_validate says of what there are folds
        folds = recipe.task != "anomaly" and recipe.network.kind != "file"
        self.has_folds = folds and len(trained) > 1
        self._one_build = threading.Lock()  # of candidates that are trained at the same time

    def measure(self, recipe: Recipe, folder: Path) -> Cost:
        """Build the model in `folder` with its front end for the board, run it, and count."""
        with self._one_build:
            return self._measure(recipe, folder)

    def _measure(self, recipe: Recipe, folder: Path) -> Cost:
        result = measure_model(folder, self.board, self.recipe.name, recipe)
        return Cost(
            flash=result.flash_bytes,
            constants=result.weight_bytes,
            instructions=result.counts,
            arena=result.arena_bytes,
        )

    def run(
        self, maker: Maker, recipe: Recipe, trial: int, name: str, budget: Budget | None
    ) -> Candidate:
        """Measure `recipe` in the folder `name`, and train it when its cost is within `budget`."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / f"{self.recipe.name}.toml", recipe_text(recipe))
        found = Candidate(trial=trial, settings=settings_of(recipe))
        try:
            maker.write("measure", recipe, folder)
            found = dataclasses.replace(found, cost=self.measure(recipe, folder))
            assert found.cost is not None
            if budget is not None and budget.excess(found.cost) > 1:
                return dataclasses.replace(found, problem=NOT_TRAINED)
            maker.write("train", recipe, folder)
            found = dataclasses.replace(found, cost=self.measure(recipe, folder))
        except ClusterError:
            raise  # no candidate's fault
        except PROBLEMS as error:
            return dataclasses.replace(found, problem=str(error))
        scores = json.loads((folder / "scores.json").read_text("utf-8"))
        maker.measure = scores["measure"]
        return dataclasses.replace(
            found,
            val=scores["val"],
            test=scores["test"],
            quantisation=scores["quantisation"],
            deflated=len(zlib.compress((folder / "model.tflite").read_bytes(), 9)),
        )

    def cross_validate(self, maker: Maker, candidate: Candidate) -> Candidate:
        """`candidate` with its score over folds, where there are folds."""
        if candidate.val is None or not self.has_folds:
            return candidate
        recipe = with_settings(self.recipe, candidate.settings)
        try:
            files = maker.make("cross-validate", recipe)
        except ClusterError:
            raise
        except PROBLEMS as error:
            return dataclasses.replace(candidate, problem=str(error), val=None)
        return dataclasses.replace(candidate, folds=json.loads(files["folds.json"])["mean"])


class Maker:
    """Trains and quantises candidates wherever jobs run."""

    measure = ""  # what the scores are, when there is one

    def __init__(self, jobs: Jobs, search: Search) -> None:
        self._jobs = jobs
        self._shared = jobs.share(
            dataset=search.dataset,
            features=search.features.read_bytes(),
            front_end=search.recipe.features,
            sent=attachments(search.recipe, search.dataset),
        )

    @property
    def workers(self) -> int:
        """How many candidates can be made at the same time."""
        return self._jobs.workers

    def make(self, step: str, recipe: Recipe) -> dict[str, bytes]:
        """The files of a step of quantize.candidate; raises one of PROBLEMS."""
        arguments = {"step": step, "recipe": recipe}
        made: dict[str, bytes] = self._jobs.call("quantize.candidate:make", arguments, self._shared)
        return made

    def write(self, step: str, recipe: Recipe, folder: Path) -> None:
        """The same into a folder."""
        for name, content in self.make(step, recipe).items():
            write_bytes(folder / name, content)


def recipe_text(recipe: Recipe) -> str:
    """The recipe's file; its name is the file's own."""
    return to_toml({k: v for k, v in recipe.as_dict().items() if k != "name"})


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """What with_settings makes the recipe of."""
    compression = recipe.compression
    return {
        "network": dataclasses.asdict(recipe.network),
        "compression": dataclasses.asdict(compression) if compression else None,
        "qat_steps": recipe.quantisation.qat_steps,
        "vary": {key: value_of(recipe, key) for key in varied(recipe)},
    }


def with_settings(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    """The recipe of a candidate's settings."""
    # lists, whether it comes from a record or not
    network = _given(json.loads(json.dumps(settings["network"])))
    recipe = with_values(recipe, settings["vary"])
    compression = settings["compression"]
    return dataclasses.replace(
        recipe,
        network=build(NetworkConfig, network, "search", "network."),
        compression=CompressionConfig(**compression) if compression else None,
        quantisation=dataclasses.replace(recipe.quantisation, qat_steps=settings["qat_steps"]),
    )


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Without what a recipe leaves out."""
    given = {k: v for k, v in values.items() if v is not None}
    return {k: _given(v) if isinstance(v, dict) else v for k, v in given.items()}


def from_record(values: dict[str, Any]) -> Candidate:
    """A candidate of dataclasses.asdict."""
    cost = values["cost"]
    return Candidate(**{**values, "cost": Cost(**cost) if cost else None})
