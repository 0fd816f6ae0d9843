"""One search on several machines: a database for the trials, a cluster for the trainings."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from host_tools.boards.board import load_board
from host_tools.errors import UsageError
from host_tools.new_project import make_project
from host_tools.search import storage
from host_tools.search.candidates import Search
from host_tools.search.search import run_search
from host_tools.stages.lock import HOLDER, locked
from model.addresses import without_password
from model.jobs import SCHEDULER
from model.recipe_file import load_recipe
from model.stages.check import check
from tests import postgres
from tests.dask_cluster import ROOT, cluster
from tests.test_search import Watch

WAIT_S = 300.0  # also on a computer that has other work
# A heartbeat that a test can wait for.
QUICK = "from host_tools.search import storage; storage.HEARTBEAT_S, storage.GRACE_S = 1, 3\n"
WORKER = (
    QUICK
    + """
import sys, time, optuna
from pathlib import Path
from host_tools.search.search import _wait_for_others
from tests.test_search import Watch
study = optuna.create_study(
    storage=storage.open_storage(sys.argv[1], Path("unused")), study_name="s", load_if_exists=True
)
def objective(trial):
    x = trial.suggest_int("x", 0, 1000)
    trial.set_user_attr("worker", sys.argv[2])
    time.sleep(float(sys.argv[3]))
    return x
run = lambda count: study.optimize(objective, n_trials=count)
storage.take_up(study)
run(3)
_wait_for_others(study, run, Watch())
"""
)
COMMAND = QUICK + "from host_tools.cli import entry; entry()"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of a PostgreSQL."""
    with postgres.server() as url:
        yield url


def until(done: Callable[[], bool], *processes: subprocess.Popen[bytes]) -> None:
    """Wait; a process that fails meanwhile fails the test."""
    limit = time.monotonic() + WAIT_S
    while not done():
        for process in processes:
            assert process.poll() in (None, 0), "a worker failed; its messages are above"
        assert time.monotonic() < limit, f"not within {WAIT_S:.0f} s"
        time.sleep(0.1)


def opened(url: str, name: str) -> optuna.Study:
    """The study, for looking at it."""
    return optuna.load_study(study_name=name, storage=storage.open_storage(url, Path("unused")))


def trials(url: str, name: str, *states: TrialState) -> list[optuna.trial.FrozenTrial]:
    """Those of a state; none before the study is there."""
    try:
        return opened(url, name).get_trials(states=states or None)
    except KeyError:
        return []


@pytest.mark.slow
def test_a_killed_worker_s_trial_is_taken_up(database: str) -> None:
    def start(name: str, seconds: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-c", WORKER, database, name, seconds]
        return subprocess.Popen(arguments, cwd=ROOT)

    def running() -> set[str]:
        found = trials(database, "s", TrialState.RUNNING)
        return {t.user_attrs["worker"] for t in found if "worker" in t.user_attrs}

    killed = start("killed", "600")
    until(lambda: running() == {"killed"}, killed)
    stays = start("stays", "0.2")
    until(lambda: "stays" in {t.user_attrs.get("worker") for t in trials(database, "s")}, stays)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert stays.wait(timeout=WAIT_S) == 0
    (lost,) = trials(database, "s", TrialState.FAIL)
    ended = trials(database, "s", TrialState.COMPLETE)
    (again,) = [t for t in ended if t.system_attrs.get("retry_history") == [lost.number]]
    assert lost.user_attrs["worker"] == "killed" and again.user_attrs["worker"] == "stays"
    assert again.params == lost.params and again.value == lost.params["x"]
    assert len(ended) in (3, 4)  # it was one of the three, or came after them
    assert not trials(database, "s", TrialState.RUNNING, TrialState.WAITING)


def test_what_was_interrupted_is_queued_once(tmp_path: Path) -> None:
    study = optuna.create_study(storage=storage.open_storage(None, tmp_path / "study.db"))

    def interrupted(trial: optuna.Trial) -> float:
        trial.suggest_int("x", 0, 9)
        raise KeyboardInterrupt

    for attempt in range(storage.RETRIES + 2):
        with pytest.raises(KeyboardInterrupt):
            study.optimize(interrupted, n_trials=1)
        storage.take_up(study)
        storage.take_up(study)
        waiting = study.get_trials(states=(TrialState.WAITING,))
        assert len(waiting) == (attempt < storage.RETRIES)  # then it is given up
        if not waiting:
            break
    assert attempt == storage.RETRIES
    assert len({t.params["x"] for t in study.trials}) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("postgresql://me:{word}x@/postgres?host={host}", "password authentication failed"),
        ("postgresql://me:un@quoted@localhost/x", "write special characters"),
        ("postgresql://me:un/quoted@localhost/x", "write special characters"),
        ("postgresql://me:s3cret?x@localhost/x", "write special characters"),
        ("postgresql://me:s3cret@127.0.0.1:1/x", "onnection refused"),
        ("oracle+none://me:s3cret@localhost/x", "cannot be opened"),
        ("s3cret", "expected an address"),
    ],
)
def test_no_message_has_a_password(database: str, given: str, told: str) -> None:
    host = database.split("host=")[1]
    word = database.split(":")[2].split("@")[0]
    with pytest.raises(UsageError, match=told) as error:
        storage.open_storage(given.format(word=word, host=host), Path("unused"))
    assert error.value.__cause__ is None
    for secret in ("un@quoted", "un/quoted", "quoted", "s3cret", word, postgres.PASSWORD):
        assert secret not in str(error.value)


def test_a_driver_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'tinyproof\[postgresql\]'") as error:
        storage.open_storage("postgresql://me:s3cret@localhost/x", Path("unused"))
    assert "STORAGE=postgresql://localhost/x" in str(error.value)


def test_texts_lose_passwords_and_nothing_else() -> None:
    text = "search x --storage postgresql+psycopg://me:a@b/c@host:5/db?password=p --trials 3"
    assert without_password(text) == "search x --storage postgresql+psycopg://host:5/db --trials 3"
    assert without_password("a@b tcp://host:1 user@c") == "a@b tcp://host:1 user@c"


def test_who_holds_a_folder_is_told_without_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tinyproof", "--storage", "postgresql://me:s3cret@host/x"])
    with locked(tmp_path):
        assert "--storage postgresql://host/x`" in (tmp_path / HOLDER).read_text()


def test_a_study_of_another_installation_is_refused(database: str) -> None:
    study = optuna.create_study(storage=storage.open_storage(database, Path("unused")))
    storage.require_same(study, database)
    storage.require_same(study, database)
    study.set_user_attr(storage.INSTALLATION, study.user_attrs["installation"] | {"numpy": "1.0"})
    storage.require_same(study, None)  # nobody else uses a file of one's own
    with pytest.raises(UsageError, match=r"another installation .*numpy: 1\.0 there"):
        storage.require_same(study, database)


def project(folder: Path) -> Path:
    """A new project, trained for no more than it takes."""
    made = make_project(folder / "mine")
    with (made / "mine.toml").open("a") as recipe:
        recipe.write(
            "steps = 60\nmin_balanced_accuracy = 0.0\n\n"
            "[quantisation]\nqat_steps = 0\nmax_drop = 1.0\n"
        )
    assert load_recipe(str(made / "mine.toml")).train.steps == 60
    return made


@pytest.mark.slow
def test_two_machines_search_together_and_one_is_killed(database: str, tmp_path: Path) -> None:
    def start(folder: Path, trials: int) -> subprocess.Popen[bytes]:
        own = {"PYTHONPATH": str(ROOT), "TINYPROOF_STORAGE": database, "TINYPROOF_TRACKING": "off"}
        command = [sys.executable, "-c", COMMAND, "search", "--budget", "instructions=300%",
                   "--trials", str(trials), "--steps", "20"]  # fmt: skip
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=folder, env=os.environ | own, stdout=log, stderr=log
            )

    folders = [project(tmp_path / name) for name in ("killed", "stays")]
    killed, stays = start(folders[0], 9), start(folders[1], 3)
    until(lambda: bool(optuna.get_all_study_names(storage.open_storage(database, Path("x")))))
    until(lambda: any(n.startswith("mine-") for n in names(database)), killed, stays)
    (name,) = (n for n in names(database) if n.startswith("mine-"))

    def victims() -> list[optuna.trial.FrozenTrial]:
        """Trials of the first machine that have all their parameters."""
        found = [t for t in trials(database, name, TrialState.RUNNING) if "qat" in t.params]
        return [t for t in found if t.user_attrs.get("worker", "").endswith(f" {killed.pid}")]

    until(lambda: bool(victims()), killed, stays)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    lost = victims()[0]
    assert stays.wait(timeout=600) == 0, (folders[1] / "log").read_text()
    (again,) = [
        t for t in trials(database, name, TrialState.COMPLETE, TrialState.PRUNED)
        if t.system_attrs.get("retry_history") == [lost.number]
    ]  # fmt: skip
    assert again.params == lost.params
    assert again.user_attrs["worker"].endswith(f" {stays.pid}")
    (result,) = folders[1].glob("build/recipes/mine/search/*/search.json")
    stored = json.loads(result.read_text())
    assert again.number in {t["trial"] for t in stored["trials"]} and "best" in stored
    assert not trials(database, name, TrialState.RUNNING)
    secrets = {postgres.PASSWORD, database.split(":")[2].split("@")[0]}
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert not any(secret.encode() in path.read_bytes() for secret in secrets), path


def names(url: str) -> list[str]:
    """The studies of a database."""
    return optuna.get_all_study_names(storage.open_storage(url, Path("unused")))


@pytest.mark.slow
def test_candidates_of_a_cluster_have_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("digits")
    lenient = dataclasses.replace(
        recipe.quantisation, max_drop=1.0, min_equal_outputs=0.0, max_lsb=255, qat_steps=0
    )
    recipe = dataclasses.replace(
        recipe, quantisation=lenient, train=dataclasses.replace(recipe.train, steps=40)
    )
    monkeypatch.setattr("host_tools.search.search.FINALISTS", 1)
    results = []
    for name in ("here", "there"):
        check(recipe, tmp_path / name)
        search = Search(recipe, load_board("qemu_m4"), tmp_path / name, 20)
        if name == "here":
            run_search(search, "instructions=200%", 2, Watch())
        else:
            with cluster(tmp_path / "dask") as found:
                monkeypatch.setenv(SCHEDULER, found.address)
                with found.killing("one", "quantize.candidate:make") as ran:
                    run_search(search, "instructions=200%", 2, Watch())
            assert ran and found.workers["one"].returncode == -9
        results.append((search.folder / "search.json").read_bytes())
    assert results[0] == results[1]
    assert len(json.loads(results[0])["finalists"]) > 0
