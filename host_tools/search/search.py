"""Search for a smaller network of a recipe under a board's budget, measured on its emulator.

Every candidate is built and run before it is trained: what an untrained network costs, a trained
one costs as well, so candidates over the budget take no training. Optuna proposes; its storage
(sqlite in the recipe's folder, or OPTUNA_STORAGE) may be shared by several machines.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from host_tools.bench.benchmark import run_benchmark
from host_tools.boards.board import Board
from host_tools.build.firmware import build_firmware
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.target import choose_target
from host_tools.search.budget import Budget, Cost, parse_budget
from model.evaluate import headline
from model.files import write_json, write_text
from model.paths import our_process
from model.recipe import CompressionConfig, NetworkConfig, Recipe
from model.toml_writer import to_toml
from quantize.errors import QuantizeError
from quantize.golden import load_golden
from quantize.manifest import compile_sets

RULE = (
    "of the finalists trained in full: the highest mean score of the float network "
    "over folds of all groups but the test groups; fewer instructions within half a point"
)
FINALISTS = 3
MEASURES = {"regression": "R2", "multilabel": "macro F1"}
TIE = 0.005  # of the score
FILTERS = (8, 12, 16, 20, 24, 32)
KERNELS = (3, 5, 7, 9)
SMALLER = ((2, 0.75), (2, 0.6), (2, 0.5), (1, 0.5))  # of the recipe: input pooling, filters
SEED = 1
ANY_COST = Cost(flash=1000, constants=1000, instructions=1000, arena=1000)
DEFAULT = -1  # the number of the recipe itself
NOT_TRAINED = "over the budget, not trained"

Progress = Callable[["Candidate"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One trial: what it costs on the board, and how good it is when it was trained."""

    trial: int  # -1: the recipe itself
    settings: dict[str, Any]  # network, compression, qat_steps
    cost: Cost | None = None
    val: float | None = None  # model.evaluate.headline of the int8 model
    test: float | None = None
    quantisation: str | None = None  # ptq or qat, chosen by validation
    deflated: int | None = None  # bytes of the .tflite after compression for transport
    folds: float | None = None  # mean over folds of all groups but the test groups; finalists only
    problem: str | None = None


class Trainer:
    """A process that trains and quantises one candidate after another; a dead one is replaced."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("ab")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            our_process("quantize.candidate"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def make(self, recipe: Path, out_dir: Path, step: str) -> str | None:
        """Write the stages' files into `out_dir`; returns why the recipe cannot be used, if so."""
        if self._process.poll() is not None:
            self._process = self._start()
        assert self._process.stdin and self._process.stdout
        request = {"recipe": str(recipe), "out": str(out_dir), "step": step}
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise HostToolsError(
                f"the training process ended with {self._process.wait()}; see {self._log.name}"
            )
        error: str | None = json.loads(answer).get("error")
        return error

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._log.close()


@contextlib.contextmanager
def trainer(log: Path) -> Iterator[Trainer]:
    """A Trainer that ends with the block."""
    process = Trainer(log)
    try:
        yield process
    finally:
        process.close()


def propose(trial: optuna.Trial, recipe: Recipe) -> Recipe:
    """A recipe with another network and compression, of the same task and data."""
    kind = trial.suggest_categorical("kind", ("convolutions", "depthwise_separable"))
    depth = trial.suggest_int("layers", 2, 3)
    network = dataclasses.replace(
        recipe.network,
        kind=kind,
        input_pool=trial.suggest_categorical("input_pool", (1, 2, 4)),
        filters=tuple(trial.suggest_categorical(f"filters_{i}", FILTERS) for i in range(depth)),
        kernels=tuple(trial.suggest_categorical(f"kernel_{i}", KERNELS) for i in range(depth)),
        strides=tuple(trial.suggest_int(f"stride_{i}", 1, 2) for i in range(depth)),
        segments=trial.suggest_categorical("segments", (1, 2, 4)),
    )
    compression = None
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
    return dataclasses.replace(
        recipe, network=network, compression=compression, quantisation=quantisation
    )


def smaller_networks(network: NetworkConfig) -> list[dict[str, Any]]:
    """The recipe's own network with fewer filters and samples, as parameters of `propose`."""
    found = []
    for pool, share in SMALLER:
        filters = [_nearest(share * count) for count in network.filters]
        parameters: dict[str, Any] = {
            "kind": network.kind,
            "layers": len(filters),
            "input_pool": min(pool * network.input_pool, 4),
            "segments": network.segments,
            "sparsity": 0.0,
            "clusters": 0,
            "qat": True,
        }
        for name, values in (
            ("filters", filters),
            ("kernel", network.kernels),
            ("stride", network.strides),
        ):
            parameters |= {f"{name}_{i}": value for i, value in enumerate(values)}
        found.append(parameters)
    return found


def _nearest(count: float) -> int:
    return min(FILTERS, key=lambda filters: abs(filters - count))


class Search:
    """One study in `out_dir`/search: candidates of `recipe` on the emulated `board`."""

    def __init__(self, recipe: Recipe, board: Board, out_dir: Path, steps: int) -> None:
        emulator = choose_target(board, None, None).emulator
        if emulator is None or emulator.unit != "instructions":
            raise UsageError(
                f"board {board.id}: nothing counts its instructions; "
                "search on qemu_m4 or qemu_xtensa"
            )
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

    def measure(self, recipe: Recipe, folder: Path) -> Cost:
        """Build the model in `folder` with its front end for the board, run it, and count."""
        model = folder / "model.tflite"
        compile_sets(
            model.read_bytes(),
            load_golden(folder / "golden.npz"),
            {self.board.kernels: self.board.gen_dir(folder)},
            name=self.recipe.name,
            settings={},
            recipe=recipe,
        )
        build_firmware(self.board, self.board.gen_dir(folder), folder / self.board.folder)
        result = run_benchmark(folder, self.board, choose_target(self.board, None, None))
        return Cost(
            flash=result.flash_bytes,
            constants=result.weight_bytes,
            instructions=result.counts,
            arena=result.arena_bytes,
        )

    def cross_validate(self, process: Trainer, candidate: Candidate, name: str) -> Candidate:
        """`candidate`, which has been run in the folder `name`, with its score over folds."""
        folder = self.folder / name
        if candidate.val is None:
            return candidate
        problem = process.make(folder / f"{self.recipe.name}.toml", folder, "cross-validate")
        if problem:
            return dataclasses.replace(candidate, problem=problem, val=None)
        mean = json.loads((folder / "folds.json").read_text("utf-8"))["mean"]
        return dataclasses.replace(candidate, folds=mean)

    def prepare(self, recipe: Recipe, name: str) -> Path:
        """A folder with the recipe as a file and the windows of the data check."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / f"{self.recipe.name}.toml", _toml(recipe))
        link = folder / "features.npz"
        link.unlink(missing_ok=True)
        link.symlink_to(self.features.resolve())
        return folder

    def run(
        self, process: Trainer, recipe: Recipe, trial: int, name: str, budget: Budget | None
    ) -> Candidate:
        """Measure `recipe`, and train it when its cost is within `budget`."""
        folder = self.prepare(recipe, name)
        path = folder / f"{self.recipe.name}.toml"
        found = Candidate(trial=trial, settings=_settings(recipe))
        try:
            if problem := process.make(path, folder, "measure"):
                return dataclasses.replace(found, problem=problem)
            found = dataclasses.replace(found, cost=self.measure(recipe, folder))
            assert found.cost is not None
            if budget is not None and budget.excess(found.cost) > 1:
                return dataclasses.replace(found, problem=NOT_TRAINED)
            if problem := process.make(path, folder, "train"):
                return dataclasses.replace(found, problem=problem)
            found = dataclasses.replace(found, cost=self.measure(recipe, folder))
        except (HostToolsError, QuantizeError) as error:
            return dataclasses.replace(found, problem=str(error))
        quantised = json.loads((folder / "quantize.json").read_text("utf-8"))
        scores = quantised["candidates"][quantised["chosen"]]
        return dataclasses.replace(
            found,
            val=headline(scores["val"]).value,
            test=headline(scores["test"]).value,
            quantisation=quantised["chosen"],
            deflated=len(zlib.compress((folder / "model.tflite").read_bytes(), 9)),
        )


def _settings(recipe: Recipe) -> dict[str, Any]:
    compression = recipe.compression
    return {
        "network": dataclasses.asdict(recipe.network),
        "compression": dataclasses.asdict(compression) if compression else None,
        "qat_steps": recipe.quantisation.qat_steps,
    }


def open_study(search: Search) -> optuna.Study:
    """The study of this recipe, board and length of training, from its storage or new."""
    search.folder.mkdir(parents=True, exist_ok=True)
    storage = os.environ.get("OPTUNA_STORAGE", f"sqlite:///{search.folder / 'study.db'}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    identity = json.dumps(search.short.as_dict(), sort_keys=True)
    name = f"{search.recipe.name}-{search.board.folder}-{zlib.crc32(identity.encode()):08x}"
    try:
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            directions=["maximize", "minimize"],  # accuracy, instructions
            load_if_exists=True,
        )
        seed = SEED + len(study.trials)  # a study that goes on does not propose the same again
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        return study
    except Exception as error:  # whatever the storage's driver raises
        raise UsageError(
            f"OPTUNA_STORAGE={storage}: cannot be opened ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); give a URL, as in sqlite:///study.db, or move "
            "a damaged file away"
        ) from error


def run_search(search: Search, budget_text: str, trials: int, progress: Progress) -> dict[str, Any]:
    """Run `trials` more candidates, then train the best in full; returns what search.json holds.

    Raises UsageError for a budget or a storage that cannot be used, HostToolsError when no
    candidate is within the budget: it names the closest. search.json has all trials even then.
    """
    parse_budget(budget_text, ANY_COST)  # refused before anything is trained
    study = open_study(search)
    with trainer(search.folder / "training.log") as process:
        default = search.run(process, search.recipe, DEFAULT, "default", None)
        if default.cost is None or default.val is None:
            raise HostToolsError(
                f"{search.recipe.name}: the recipe itself fails: {default.problem}"
            )
        progress(default)
        for parameters in smaller_networks(search.recipe.network):
            study.enqueue_trial(parameters, skip_if_exists=True)
        budget = parse_budget(budget_text, default.cost)

        _run_trials(search, study, process, budget, trials, progress)
        found = [
            _candidate(trial.user_attrs["candidate"])
            for trial in study.trials
            if "candidate" in trial.user_attrs
        ]
        result = {
            "recipe": search.recipe.name,
            "board": search.board.id,
            "emulator": search.emulator,
            "study": study.study_name,
            "measure": MEASURES.get(search.recipe.task, "balanced accuracy"),
            "rule": RULE,
            "steps": search.short.train.steps,
            "budget": dataclasses.asdict(budget),
            "default": dataclasses.asdict(default),
            "trials": [dataclasses.asdict(c) for c in found],
            "pareto": [c.trial for c in pareto(found)],
        }
        write_json(search.folder / "search.json", result)
        finalists = []
        for candidate in within(found, budget)[:FINALISTS]:
            recipe = _with_settings(search.recipe, candidate.settings)
            name = f"finalist_{candidate.trial:04}"
            trained = search.run(process, recipe, candidate.trial, name, budget)
            finalists.append(search.cross_validate(process, trained, name))
            progress(finalists[-1])
        default = search.cross_validate(process, default, "default")
    result["default"] = dataclasses.asdict(default)
    best = choose(within(finalists, budget))
    result["finalists"] = [dataclasses.asdict(c) for c in finalists]
    result["best"] = dataclasses.asdict(best)
    write_json(search.folder / "search.json", result)
    write_text(search.folder / "best.toml", _toml(_with_settings(search.recipe, best.settings)))
    return result


def _run_trials(
    search: Search,
    study: optuna.Study,
    process: Trainer,
    budget: Budget,
    trials: int,
    progress: Progress,
) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, int]:
        recipe = propose(trial, search.short)
        candidate = search.run(process, recipe, trial.number, f"trial_{trial.number:04}", budget)
        trial.set_user_attr("candidate", dataclasses.asdict(candidate))
        if candidate.cost is not None:
            trial.set_constraint("budget", budget.excess(candidate.cost) - 1)
        progress(candidate)
        if candidate.val is None or candidate.cost is None:
            raise optuna.TrialPruned(candidate.problem)
        return candidate.val, candidate.cost.instructions

    study.optimize(objective, n_trials=trials)


def within(candidates: Sequence[Candidate], budget: Budget) -> list[Candidate]:
    """Those trained and within `budget`, the highest validation score first.

    Raises HostToolsError when there is none, with the one that comes closest.
    """
    kept = [
        c
        for c in candidates
        if c.val is not None and c.cost is not None and budget.excess(c.cost) <= 1
    ]
    if not kept:
        raise HostToolsError(_nothing_fits(candidates, budget))
    return sorted(kept, key=lambda c: -(c.val or 0.0))


def _nothing_fits(candidates: Sequence[Candidate], budget: Budget) -> str:
    measured = [(budget.excess(c.cost), c.trial, c.cost, c) for c in candidates if c.cost]
    if not measured:
        problem = candidates[-1].problem if candidates else "there were no trials"
        return f"none of {len(candidates)} candidates could be built: {problem}"
    excess, _, spent, closest = min(measured, key=lambda row: row[:2])
    cost = ", ".join(f"{n} {v:,}" for n, v in dataclasses.asdict(spent).items())
    state = f"{excess:.2f} times the budget" if excess > 1 else f"but: {closest.problem}"
    return (
        f"none of {len(candidates)} candidates is within the budget ({budget.describe()}); the "
        f"closest is trial {closest.trial} with {cost}: {state}. Raise the budget or TRIALS"
    )


def pareto(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The trained candidates that no other beats in accuracy, instructions and flash at once."""

    def key(c: Candidate) -> tuple[float, int, int]:
        assert c.val is not None and c.cost is not None
        return -c.val, c.cost.instructions, c.cost.flash

    trained = [c for c in candidates if c.val is not None and c.cost is not None]
    return [
        c
        for c in trained
        if not any(
            all(a <= b for a, b in zip(key(o), key(c), strict=True)) and key(o) != key(c)
            for o in trained
        )
    ]


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """The best by RULE."""
    highest = max(c.folds or 0.0 for c in candidates)
    tied = [c for c in candidates if (c.folds or 0.0) >= highest - TIE]
    return min(tied, key=lambda c: c.cost.instructions if c.cost else 0)


def _toml(recipe: Recipe) -> str:
    """The recipe's file; its name is the file's own."""
    return to_toml({k: v for k, v in recipe.as_dict().items() if k != "name"})


def _candidate(values: dict[str, Any]) -> Candidate:
    cost = values["cost"]
    return Candidate(**{**values, "cost": Cost(**cost) if cost else None})


def _with_settings(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    network: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in settings["network"].items()
    }
    compression = settings["compression"]
    return dataclasses.replace(
        recipe,
        network=NetworkConfig(**network),
        compression=CompressionConfig(**compression) if compression else None,
        quantisation=dataclasses.replace(recipe.quantisation, qat_steps=settings["qat_steps"]),
    )
