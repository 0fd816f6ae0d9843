"""The search under a budget: what it may spend, what it proposes, what it picks."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from host_tools.boards.board import load_board
from host_tools.errors import HostToolsError, UsageError
from host_tools.report.page import network_text, search_page
from host_tools.report.plots import front_of
from host_tools.search.budget import Budget, Cost, parse_budget
from host_tools.search.candidates import (
    NOT_TRAINED,
    Candidate,
    Search,
    first_proposals,
    propose,
)
from host_tools.search.search import (
    best_so_far,
    choose,
    open_study,
    pareto,
    run_search,
    within,
)
from host_tools.search.table import print_search, watcher
from model.network_config import DscnnConfig, NetworkConfig
from model.recipe import Recipe
from model.recipe_file import load_recipe
from model.toml_writer import to_toml

DEFAULT_COST = Cost(flash=30_000, constants=20_000, instructions=400_000, arena=4_000)
SETTINGS: dict[str, Any] = {"network": {}, "compression": None, "vary": {}}


class Watch:
    """Progress that is kept."""

    def __init__(self) -> None:
        self.all: list[Candidate] = []
        self.bests: list[Candidate | None] = []
        self.told: list[str] = []

    def doing(self, text: str) -> None:
        """As Progress."""
        self.told.append(text)

    def found(self, candidate: Candidate, best: Candidate | None) -> None:
        """As Progress."""
        self.all.append(candidate)
        self.bests.append(best)


def _candidate(trial: int, val: float | None, instructions: int, flash: int = 10_000) -> Candidate:
    return Candidate(
        trial=trial,
        settings=SETTINGS,
        cost=Cost(flash=flash, constants=5_000, instructions=instructions, arena=1_000),
        val=val,
        problem=None if val is not None else NOT_TRAINED,
    )


def test_a_budget_is_read() -> None:
    budget = parse_budget("flash=50%, instructions=123456", DEFAULT_COST)
    assert budget == Budget(flash=15_000, instructions=123_456)
    assert budget.excess(Cost(flash=15_000, constants=1, instructions=1, arena=10**9)) == 1
    assert budget.excess(Cost(flash=1, constants=1, instructions=246_912, arena=1)) == 2


@pytest.mark.parametrize(
    "text",
    ["", "flash", "flash=0", "flash=-1", "ram=5", "flash=1,flash=2", "flash=1;arena=2", "arena=0%"],
)
def test_a_budget_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="BUDGET"):
        parse_budget(text, DEFAULT_COST)


def test_pareto_keeps_what_nothing_beats() -> None:
    best, cheap = _candidate(0, 0.95, 300), _candidate(1, 0.90, 100)
    beaten, small = _candidate(2, 0.90, 200), _candidate(3, 0.90, 200, flash=9_000)
    untrained = _candidate(4, None, 1)
    assert pareto([best, cheap, beaten, small, untrained]) == [best, cheap, small]


def test_the_rule_prefers_fewer_instructions_on_a_tie() -> None:
    a, b, c = _candidate(0, 0.950, 300), _candidate(1, 0.946, 200), _candidate(2, 0.944, 100)
    assert choose([a, b, c]) == b
    a, b, c = (dataclasses.replace(x, folds=x.val, val=0.9) for x in (a, b, c))
    assert choose([a, b, c]) == b  # folds count, where there are some


def test_nothing_within_the_budget_names_the_closest() -> None:
    candidates = [_candidate(0, None, 500), _candidate(1, None, 300), _candidate(2, 0.9, 450)]
    with pytest.raises(HostToolsError, match=r"closest is trial 1 .*instructions 300.*1\.50 times"):
        within(candidates, Budget(instructions=200))


def test_nothing_built_says_why() -> None:
    failed = Candidate(trial=0, settings=SETTINGS, problem="no compiler")
    with pytest.raises(HostToolsError, match="none of 1 candidates could be built: no compiler"):
        within([failed], Budget(flash=1))


@pytest.mark.parametrize("name", ["motion", "keywords", "anomaly"])
def test_a_proposal_is_a_recipe_that_reads_back(tmp_path: Path, name: str) -> None:
    recipe = load_recipe(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    seen = set()
    for _ in range(20):
        proposed = propose(study.ask(), recipe)
        path = tmp_path / f"{name}.toml"
        path.write_text(to_toml({k: v for k, v in proposed.as_dict().items() if k != "name"}))
        assert load_recipe(str(path)) == proposed
        assert (proposed.dataset, proposed.features) == (recipe.dataset, recipe.features)
        seen.add(proposed.network)
    assert len(seen) > 15


@pytest.mark.parametrize("name", ["motion", "keywords", "digits", "anomaly"])
def test_a_search_begins_with_smaller_versions_of_the_recipe(name: str) -> None:
    recipe = load_recipe(name)
    own = dataclasses.asdict(recipe.network.options)
    study = optuna.create_study()
    for parameters in first_proposals(recipe):
        study.enqueue_trial(parameters, skip_if_exists=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a parameter that is no choice of the space
        first = propose(study.ask(), recipe)
    found = dataclasses.asdict(first.network.options)
    key = "units" if recipe.network.kind == "autoencoder" else "filters"
    assert sum(found[key]) < sum(own[key])
    assert len(found[key]) == len(own[key])
    kept = ("kernels", "strides", "segments", "dropout")
    assert [found.get(k) for k in kept] == [own.get(k) for k in kept]
    assert (first.compression, first.quantisation) == (None, recipe.quantisation)


def test_a_search_needs_the_windows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"features\.npz.*make check RECIPE=digits"):
        Search(load_recipe("digits"), load_board("qemu_m4"), tmp_path, 10)


def test_a_search_needs_a_count_of_instructions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"native.*qemu_m4"):
        Search(load_recipe("digits"), load_board("native"), tmp_path, 10)


def test_a_network_that_pools_its_window_away_is_refused() -> None:
    from model.errors import ConfigError
    from model.networks import build_network

    own = dataclasses.asdict(load_recipe("digits").network.options)
    options = DscnnConfig(**{**own, "input_pool": 4, "strides": (2, 2), "segments": 1})
    changed = NetworkConfig(kind="dscnn", dscnn=options)
    with pytest.raises(ConfigError, match="input_pool 4 and strides .* leave nothing of an input"):
        build_network(changed, 8, 8, 10)


def _search(tmp_path: Path, recipe: Recipe | None = None) -> Search:
    from model.stages.check import check

    recipe = recipe or load_recipe("digits")
    check(recipe, tmp_path)
    return Search(recipe, load_board("qemu_m4"), tmp_path, 20)


def test_a_wrong_budget_is_refused_before_training(tmp_path: Path) -> None:
    search = _search(tmp_path)
    with pytest.raises(UsageError, match="BUDGET=ram=5"):
        run_search(search, "ram=5", 1, Watch())
    assert not (search.folder / "default").exists()


def test_a_damaged_storage_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "study.db"
    damaged.write_bytes(b"not a database" * 100)
    search = _search(tmp_path)
    with pytest.raises(UsageError, match=r"STORAGE=sqlite:///.*cannot be opened"):
        open_study(search, f"sqlite:///{damaged}")
    assert damaged.read_bytes() == b"not a database" * 100


def test_a_study_goes_on_and_keeps_its_trials(tmp_path: Path) -> None:
    search = _search(tmp_path)
    first = open_study(search, None)
    first.add_trial(optuna.trial.create_trial(values=[0.9, 100.0], params={}, distributions={}))
    again = open_study(search, None)
    assert again.study_name == first.study_name and len(again.trials) == 1
    longer = Search(search.recipe, search.board, tmp_path, 21)
    assert open_study(longer, None).study_name != first.study_name


@pytest.mark.slow
def test_a_search_measures_trains_and_chooses(tmp_path: Path) -> None:
    recipe = load_recipe("digits")
    lenient = dataclasses.replace(
        recipe.quantisation, max_drop=1.0, min_equal_outputs=0.0, max_lsb=255
    )
    search = _search(tmp_path, dataclasses.replace(recipe, quantisation=lenient))
    watch = Watch()
    result = run_search(search, "flash=110%,instructions=200%", 5, watch)
    stored = json.loads((search.folder / "search.json").read_text())
    assert stored["best"] == json.loads(json.dumps(result["best"]))
    best = result["best"]
    assert best["cost"]["flash"] <= 1.1 * result["default"]["cost"]["flash"]
    chosen = load_recipe(str(search.folder / "best.toml"))
    options = best["settings"]["network"][chosen.network.kind]
    assert list(chosen.network.options.filters) == list(options["filters"])
    measured = [c for c in watch.all if c.cost is not None]
    assert len({c.cost for c in measured}) > 2  # counted, not copied
    assert any(watch.bests) and "<svg" in (search.folder / "search.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "measure"),
    [
        ("oscillator", "dense", "R2"),
        ("tones", "cnn2d", "macro F1"),
        ("anomaly", "autoencoder", "AUC"),
        ("digits", "lstm", "balanced accuracy"),
    ],
)
def test_every_task_is_searched_by_its_own_measure(
    name: str, kind: str, measure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host_tools.search.search.FINALISTS", 1)
    recipe = load_recipe(name)
    lenient = dataclasses.replace(
        recipe.quantisation, max_drop=1.0, min_equal_outputs=0.0, max_lsb=255, qat_steps=0
    )
    recipe = dataclasses.replace(
        recipe,
        network=NetworkConfig(kind=kind),
        train=dataclasses.replace(recipe.train, steps=40),
        quantisation=lenient,
    )
    search = _search(tmp_path, recipe)
    result = run_search(search, "instructions=200%", 2, Watch())
    trained = [t for t in result["trials"] if t["val"] is not None]
    assert result["measure"] == measure and len(trained) == 2
    assert result["finalists"][0]["trial"] == max(trained, key=lambda t: t["val"])["trial"]
    assert (result["best"]["folds"] is None) == (name == "anomaly")
    assert load_recipe(str(search.folder / "best.toml")).network.kind == kind


def test_the_best_so_far_is_within_the_budget() -> None:
    a, b, c = _candidate(0, 0.9, 300), _candidate(1, 0.9, 200), _candidate(2, 0.99, 900)
    untrained = _candidate(3, None, 1)
    assert best_so_far([a, b, c, untrained], Budget(instructions=500)) == b
    assert best_so_far([untrained, c], Budget(instructions=500)) is None
    assert best_so_far([], Budget(instructions=500)) is None


def test_without_folds_the_validation_score_decides() -> None:
    a, b = _candidate(0, 0.95, 300), _candidate(1, 0.90, 100)
    by_validation = [dataclasses.replace(c, folds=None) for c in (a, b)]
    assert choose(by_validation).trial == 0


def test_progress_is_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = _candidate(0, 0.9, 300), _candidate(1, 0.8, 200)
    with watcher(2) as progress:
        progress.doing("trial 0")
        progress.found(a, a)
        progress.found(b, a)
    first = "trial 0: 300 instructions, flash 10,000: validation 0.900"
    second = "trial 1: 200 instructions, flash 10,000: validation 0.800"
    assert capsys.readouterr().out.splitlines() == [first, f"best so far: {first}", second]


def test_progress_on_a_terminal_shows_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160)
    monkeypatch.setattr("host_tools.search.table.Console", lambda: console)
    a = _candidate(0, 0.9, 300)
    with watcher(2) as progress:
        progress.found(a, a)
        progress.doing("trial 1")
    shown = out.getvalue()
    assert "trial 1" in shown and "1/2" in shown
    assert "best so far: trial 0: 300 instructions, flash 10,000: validation 0.900" in shown


def test_a_number_stands_below_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host_tools.search.table.network_text", lambda candidate: "small")
    full = dataclasses.replace(_candidate(1, 0.75, 1_234), folds=0.5, test=0.25, deflated=4_321)
    failed = _candidate(2, None, 1)
    failed = dataclasses.replace(failed, problem="no [network.cnn1d]")
    no_folds = dataclasses.replace(full, trial=3, folds=None)
    one, other, third = (dataclasses.asdict(c) for c in (full, failed, no_folds))
    print_search(
        {
            "trials": [], "pareto": [], "steps": 20, "rule": "by a test", "default": one,
            "finalists": [other], "best": third,
        }
    )  # fmt: skip
    lines = [line for line in capsys.readouterr().out.splitlines() if line[0] in "┃│"]
    head, first, second, last = ([c.strip() for c in re.split("[┃│]", x)[1:-1]] for x in lines)
    names = [
        "network",
        "folds",
        "validation",
        "test",
        "instructions",
        "constants",
        "flash",
        "arena",
        "deflated",
    ]
    assert head == ["", *names]
    numbers = ["0.750", "0.250", "1,234", "5,000", "10,000", "1,000", "4,321"]
    assert first == ["recipe", "small", "0.500", *numbers]
    assert second == ["finalist", "small", "", "no [network.cnn1d]", *[""] * 6]
    assert last == ["chosen", "small", "", *numbers]


def test_networks_are_told_in_a_few_words() -> None:
    layers = {"filters": [8, 12], "kernels": [5, 3], "strides": [2, 1]}
    network = {"kind": "cnn1d", "cnn1d": {**layers, "input_pool": 2, "segments": 4}}
    units = {"kind": "autoencoder", "autoencoder": {"units": [32, 8]}}
    for found, text in (
        (network, "pool 2, 8×5/2 12×3/1, 4 segments"),
        (units, "autoencoder, 32 8 units"),
    ):
        settings = {"network": found, "compression": None, "vary": {"features.hop": 8}}
        assert network_text({"settings": settings}) == f"{text}, features.hop 8"


@pytest.mark.parametrize(("measure", "told"), [("R2", "-0.061"), ("macro F1", "-6.1")])
def test_scores_of_a_search_are_shown_as_their_measure(measure: str, told: str) -> None:
    network = {"kind": "dense", "dense": {"units": [4]}}
    candidate = dataclasses.replace(
        _candidate(0, -0.061, 300), settings={**SETTINGS, "network": network}, test=0.5, deflated=1
    )
    one = dataclasses.asdict(candidate)
    page = search_page(
        {
            "recipe": "x", "board": "qemu_m4", "emulator": "qemu_m4", "measure": measure,
            "rule": "by a test", "steps": 20, "budget": dataclasses.asdict(Budget(flash=9_000)),
            "default": one, "trials": [one], "pareto": [0],
        }
    )  # fmt: skip
    table = page[page.index("<table") : page.index("</table>")]
    assert told in table and ("%" in table) == (measure != "R2")


def test_the_front_rises() -> None:
    pairs = [(0.9, 300), (0.8, 100), (0.7, 200), (0.95, 300), (0.95, 400)]
    trials = [dataclasses.asdict(_candidate(i, *pair)) for i, pair in enumerate(pairs)]
    assert front_of(trials, "instructions") == [(100, 0.8), (300, 0.95)]
