"""Search for a smaller network of a recipe under a board's budget, measured on its emulator.

Every candidate is built and run before it is trained: what an untrained network costs, a trained
one costs as well, so candidates over the budget take no training. Optuna proposes; its storage
(host_tools.search.storage) may be shared by several machines.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from host_tools.errors import HostToolsError
from host_tools.report.page import search_page
from host_tools.search.budget import Budget, Cost, parse_budget
from host_tools.search.candidates import (
    Candidate,
    Maker,
    Search,
    first_proposals,
    from_record,
    propose,
    recipe_text,
    with_settings,
)
from host_tools.search.storage import (
    open_storage,
    others,
    refused,
    require_same,
    retried,
    take_up,
)
from model.cluster import open_jobs
from model.files import write_json, write_text
from model.search_space import VERSION

RULE = (
    "of the finalists trained in full: the highest mean score of the float network, before "
    "pruning and clustering, over folds of all groups but the test groups; fewer instructions "
    "within half a point"
)
RULE_WITHOUT_FOLDS = (
    "of the finalists trained in full: the highest score on the validation groups, because this "
    "task or these groups have no folds; fewer instructions within half a point"
)
FINALISTS = 3
TIE = 0.005  # of a score
SEED = 1
ANY_COST = Cost(flash=1000, constants=1000, instructions=1000, arena=1000)
DEFAULT = -1  # the number of the recipe itself
WAIT_S = 2.0  # between two looks at the trials of other machines


class Progress(Protocol):
    """Who is told how a search goes on, from several threads."""

    def doing(self, text: str) -> None:
        """What is being done now."""

    def found(self, candidate: Candidate, best: Candidate | None) -> None:
        """A candidate has ended; `best` is the best trial so far, where there is one."""


def open_study(search: Search, storage: str | None) -> optuna.Study:
    """The study of this recipe, board and length of training, from its storage or new."""
    search.folder.mkdir(parents=True, exist_ok=True)
    own_file = search.folder / "study.db"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = {"recipe": search.short.as_dict(), "space": VERSION, "files": search.files()}
    identity = zlib.crc32(json.dumps(settings, sort_keys=True).encode())
    opened = open_storage(storage, own_file)
    try:
        study = optuna.create_study(
            study_name=f"{search.recipe.name}-{search.board.folder}-{identity:08x}",
            storage=opened,
            directions=["maximize", "minimize"],  # accuracy, instructions
            load_if_exists=True,
        )
        seed = SEED + len(study.trials)  # a study that goes on does not propose the same again
    except Exception as error:  # whatever the storage's driver raises
        raise refused(storage, own_file, error) from None  # its chain may show the password
    require_same(study, storage)
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study


def run_search(
    search: Search, budget_text: str, trials: int, progress: Progress, storage: str | None = None
) -> dict[str, Any]:
    """Run `trials` more candidates, then train the best in full; returns what search.json holds.

    Raises UsageError for a budget or a storage that cannot be used, HostToolsError when no
    candidate is within the budget: it names the closest. search.json has all trials even then.
    """
    parse_budget(budget_text, ANY_COST)  # refused before anything is trained
    study = open_study(search, storage)
    with open_jobs(own_process=True, log=search.folder / "training.log") as jobs:
        maker = Maker(jobs, search)
        progress.doing("the recipe")
        default = search.run(maker, search.recipe, DEFAULT, "default", None)
        if default.cost is None or default.val is None:
            raise HostToolsError(
                f"{search.recipe.name}: the recipe itself fails: {default.problem}"
            )
        progress.found(default, None)
        budget = parse_budget(budget_text, default.cost)
        fixed = {
            "recipe": search.recipe.name,
            "board": search.board.id,
            "emulator": search.emulator,
            "study": study.study_name,
            "rule": RULE if search.has_folds else RULE_WITHOUT_FOLDS,
            "measure": maker.measure,
            "steps": search.short.train.steps,
            "budget": dataclasses.asdict(budget),
            "default": dataclasses.asdict(default),
        }

        def save() -> dict[str, Any]:
            found = candidates_of(study)
            trials = [dataclasses.asdict(c) for c in found]
            so_far = {**fixed, "trials": trials, "pareto": [c.trial for c in pareto(found)]}
            _write(search, so_far)
            return so_far

        _run_trials(search, study, maker, budget, trials, progress, save)
        result = save()
        finalists, default = _finish(search, maker, budget, candidates_of(study), default, progress)
    result["default"] = dataclasses.asdict(default)
    best = choose(within(finalists, budget))
    result["finalists"] = [dataclasses.asdict(c) for c in finalists]
    result["best"] = dataclasses.asdict(best)
    _write(search, result)
    chosen = with_settings(search.recipe, best.settings)
    write_text(search.folder / "best.toml", recipe_text(chosen))
    return result


def _write(search: Search, result: dict[str, Any]) -> None:
    write_json(search.folder / "search.json", result)
    write_text(search.folder / "search.html", search_page(result))


def _finish(
    search: Search,
    maker: Maker,
    budget: Budget,
    found: Sequence[Candidate],
    default: Candidate,
    progress: Progress,
) -> tuple[list[Candidate], Candidate]:
    """The best trials trained in full, and these and the recipe with their scores over folds."""

    def finish(candidate: Candidate) -> Candidate:
        recipe = with_settings(search.recipe, candidate.settings)
        progress.doing(f"trial {candidate.trial} in full")
        name = f"finalist_{candidate.trial:04}"
        trained = search.run(maker, recipe, candidate.trial, name, budget)
        done = search.cross_validate(maker, trained)
        progress.found(done, None)
        return done

    with ThreadPoolExecutor(maker.workers) as pool:
        finalists = [pool.submit(finish, c) for c in within(found, budget)[:FINALISTS]]
        own = pool.submit(search.cross_validate, maker, default)
        return [finalist.result() for finalist in finalists], own.result()


def candidates_of(study: optuna.Study) -> list[Candidate]:
    """The trials that have ended, also those of other machines, in the order of their numbers."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [
        from_record(trial.user_attrs["candidate"])
        for trial in study.get_trials(deepcopy=False, states=ended)
        if "candidate" in trial.user_attrs
    ]


def _run_trials(
    search: Search,
    study: optuna.Study,
    maker: Maker,
    budget: Budget,
    trials: int,
    progress: Progress,
    save: Callable[[], object],
) -> None:
    """Our own share, in which are those that were interrupted before; `save` after each."""
    one = threading.Lock()

    def objective(trial: optuna.Trial) -> tuple[float, int]:
        progress.doing(f"trial {trial.number}")
        trial.set_user_attr("worker", f"{platform.node()}, process {os.getpid()}")
        recipe = propose(trial, search.short)
        candidate = search.run(maker, recipe, trial.number, f"trial_{trial.number:04}", budget)
        trial.set_user_attr("candidate", dataclasses.asdict(candidate))
        if candidate.cost is not None:
            trial.set_constraint("budget", budget.excess(candidate.cost) - 1)
        progress.found(candidate, best_so_far([*candidates_of(study), candidate], budget))
        if candidate.val is None or candidate.cost is None:
            raise optuna.TrialPruned(candidate.problem)
        return candidate.val, candidate.cost.instructions

    def ended(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        with one:
            save()

    def optimise(count: int) -> None:
        workers = min(maker.workers, count)
        study.optimize(objective, n_trials=count, n_jobs=workers, callbacks=[ended])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        take_up(study)
        for parameters in first_proposals(search.recipe):
            study.enqueue_trial(parameters, skip_if_exists=True)
        optimise(trials)
        _wait_for_others(study, optimise, progress)


def _wait_for_others(
    study: optuna.Study, optimise: Callable[[int], None], progress: Progress
) -> None:
    """Until what other machines run at this moment has ended; what dies meanwhile is taken up."""
    waited_for = others(study)
    while True:
        take_up(study)
        if left := retried(study):
            optimise(left)
        elif running := others(study) & waited_for:
            progress.doing(f"waits for {len(running)} trials of other machines")
            time.sleep(WAIT_S)
        else:
            return


def best_so_far(candidates: Sequence[Candidate], budget: Budget) -> Candidate | None:
    """The highest validation score within the budget, with the fewest instructions on a tie."""
    try:
        kept = within(candidates, budget)
    except HostToolsError:
        return None
    return min(kept, key=lambda c: (-(c.val or 0.0), c.cost.instructions if c.cost else 0))


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
        f"none of {len(candidates)} candidates can be used within the budget "
        f"({budget.describe()}); the closest is trial {closest.trial} with {cost}: {state}. "
        "Raise the budget or TRIALS"
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
    scores = [(c.val or 0.0) if c.folds is None else c.folds for c in candidates]
    tied = [c for c, score in zip(candidates, scores, strict=True) if score >= max(scores) - TIE]
    return min(tied, key=lambda c: c.cost.instructions if c.cost else 0)
