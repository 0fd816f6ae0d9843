"""The search under a budget: what it may spend, what it proposes, what it picks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import optuna
import pytest

from host_tools.boards.board import load_board
from host_tools.errors import HostToolsError, UsageError
from host_tools.search.budget import Budget, Cost, parse_budget
from host_tools.search.search import (
    NOT_TRAINED,
    Candidate,
    Search,
    choose,
    open_study,
    pareto,
    propose,
    run_search,
    smaller_networks,
    trainer,
    within,
)
from model.network_config import DscnnConfig, NetworkConfig
from model.recipe import Recipe, load_recipe
from model.toml_writer import to_toml

DEFAULT_COST = Cost(flash=30_000, constants=20_000, instructions=400_000, arena=4_000)
SETTINGS: dict[str, Any] = {"network": {}, "compression": None}


def _candidate(trial: int, val: float | None, instructions: int, flash: int = 10_000) -> Candidate:
    return Candidate(
        trial=trial,
        settings=SETTINGS,
        cost=Cost(flash=flash, constants=5_000, instructions=instructions, arena=1_000),
        val=val,
        folds=val,
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


def test_nothing_within_the_budget_names_the_closest() -> None:
    candidates = [_candidate(0, None, 500), _candidate(1, None, 300), _candidate(2, 0.9, 450)]
    with pytest.raises(HostToolsError, match=r"closest is trial 1 .*instructions 300.*1\.50 times"):
        within(candidates, Budget(instructions=200))


def test_nothing_built_says_why() -> None:
    failed = Candidate(trial=0, settings=SETTINGS, problem="no compiler")
    with pytest.raises(HostToolsError, match="none of 1 candidates could be built: no compiler"):
        within([failed], Budget(flash=1))


def test_a_proposal_is_a_recipe_that_reads_back(tmp_path: Path) -> None:
    recipe = load_recipe("motion")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    for _ in range(20):
        proposed = propose(study.ask(), recipe)
        path = tmp_path / "motion.toml"
        path.write_text(to_toml({k: v for k, v in proposed.as_dict().items() if k != "name"}))
        assert load_recipe(str(path)) == proposed
        assert (proposed.dataset, proposed.features) == (recipe.dataset, recipe.features)


def test_a_search_begins_with_smaller_versions_of_the_recipe() -> None:
    recipe = load_recipe("motion")
    study = optuna.create_study()
    for parameters in smaller_networks(recipe.network):
        study.enqueue_trial(parameters, skip_if_exists=True)
    first, own = propose(study.ask(), recipe).network.options, recipe.network.options
    assert (first.filters, first.input_pool) == ((16, 24, 32), 4)
    assert (first.kernels, first.strides) == (own.kernels, own.strides)


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


def test_a_training_process_that_dies_is_replaced(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    with trainer(tmp_path / "log") as process:
        process._process.kill()
        process._process.wait()
        assert "no such recipe" in (process.make(missing, tmp_path, "measure") or "")


def _search(tmp_path: Path, recipe: Recipe | None = None) -> Search:
    from model.stages.check import check

    recipe = recipe or load_recipe("digits")
    check(recipe, tmp_path)
    return Search(recipe, load_board("qemu_m4"), tmp_path, 20)


def test_a_wrong_budget_is_refused_before_training(tmp_path: Path) -> None:
    search = _search(tmp_path)
    with pytest.raises(UsageError, match="BUDGET=ram=5"):
        run_search(search, "ram=5", 1, lambda candidate: None)
    assert not (search.folder / "default").exists()


def test_a_damaged_storage_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "study.db"
    damaged.write_bytes(b"not a database" * 100)
    search = _search(tmp_path)
    monkeypatch.setenv("OPTUNA_STORAGE", f"sqlite:///{damaged}")
    with pytest.raises(UsageError, match=r"OPTUNA_STORAGE=.*cannot be opened"):
        open_study(search)
    assert damaged.read_bytes() == b"not a database" * 100


def test_a_study_goes_on_and_keeps_its_trials(tmp_path: Path) -> None:
    search = _search(tmp_path)
    first = open_study(search)
    first.add_trial(optuna.trial.create_trial(values=[0.9, 100.0], params={}, distributions={}))
    again = open_study(search)
    assert again.study_name == first.study_name and len(again.trials) == 1
    longer = Search(search.recipe, search.board, tmp_path, 21)
    assert open_study(longer).study_name != first.study_name


@pytest.mark.slow
def test_a_search_measures_trains_and_chooses(tmp_path: Path) -> None:
    recipe = load_recipe("digits")
    lenient = dataclasses.replace(
        recipe.quantisation, max_drop=1.0, min_equal_outputs=0.0, max_lsb=255
    )
    search = _search(tmp_path, dataclasses.replace(recipe, quantisation=lenient))
    seen: list[Candidate] = []
    result = run_search(search, "flash=110%,instructions=200%", 5, seen.append)
    stored = json.loads((search.folder / "search.json").read_text())
    assert stored["best"] == json.loads(json.dumps(result["best"]))
    best = result["best"]
    assert best["cost"]["flash"] <= 1.1 * result["default"]["cost"]["flash"]
    chosen = load_recipe(str(search.folder / "best.toml"))
    assert chosen.network.options.filters == tuple(
        best["settings"]["network"][chosen.network.kind]["filters"]
    )
    measured = [c for c in seen if c.cost is not None]
    assert len({c.cost for c in measured}) > 2  # counted, not copied
