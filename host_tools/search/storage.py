"""Where a study is kept: a file of its own, or a database that several machines share.

A trial that runs says so every HEARTBEAT_S. One that has been silent for GRACE_S, because its
process was killed or its machine is gone, is queued again, up to RETRIES times, and the next free
worker takes it up.
"""

from __future__ import annotations

import importlib.util
import re
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from host_tools.errors import UsageError
from model.addresses import without_password
from model.jobs import different, installation

HEARTBEAT_S, GRACE_S = 20, 60
RETRIES = 3
CONNECT_S = 10
OPENINGS = 4  # two machines that make the tables of an empty database at once hinder each other
INSTALLATION = "installation"  # of whoever began a shared study
_DRIVER = re.compile(r"postgres(ql)?(\+psycopg)?://")
# What else there may be is taken for a host or a port, and told in a driver's message.
_ADDRESS = re.compile(
    r"[a-z0-9+]+://(?:[^\s/@:?#]*(?::[^\s/@:?#]*)?@)?"
    r"(?:\[[0-9A-Fa-f:.]*\]|[^\s/@:?#]*)(?::\d+)?(?:/[^\s@?#]*)?(?:\?[^\s@#]*)?"
)


def open_storage(given: str | None, own_file: Path) -> optuna.storages.RDBStorage:
    """The storage that STORAGE names, or the file; UsageError when it cannot be opened."""
    url = given or f"sqlite:///{own_file}"
    if not url.startswith("sqlite:") and not _ADDRESS.fullmatch(url):
        raise UsageError(
            "STORAGE: expected an address as postgresql://user:password@host:5432/database, got "
            "something else (it is not shown, it may hold a password); write special characters "
            "of a password as %40 for @, %2F for /, %3A for :"
        )
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if _DRIVER.match(url):
        if importlib.util.find_spec("psycopg") is None:
            raise UsageError(
                f"STORAGE={without_password(url)}: needs the driver psycopg, which is not "
                "installed: pip install 'tinyproof[postgresql]'"
            )
        url = _DRIVER.sub("postgresql+psycopg://", url, count=1)
        arguments["connect_args"] = {"connect_timeout": CONNECT_S}
    problem: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for wait in range(OPENINGS):
            try:
                return optuna.storages.RDBStorage(
                    url,
                    engine_kwargs=arguments,
                    heartbeat_interval=HEARTBEAT_S,
                    grace_period=GRACE_S,
                    heartbeat_stale_trial_callback=_again(),
                )
            except Exception as error:  # whatever the storage's driver raises
                problem = error
                if type(error).__name__ not in ("IntegrityError", "ProgrammingError"):
                    break
                time.sleep(0.2 * (wait + 1))
    raise refused(given, own_file, problem) from None  # its chain may show the password


def refused(given: str | None, own_file: Path, error: Exception | None) -> UsageError:
    """What to say of a storage that cannot be used."""
    told = without_password((str(error).splitlines() or [""])[0])
    what = f"STORAGE={without_password(given)}" if given else str(own_file)
    return UsageError(
        f"{what}: cannot be opened ({type(error).__name__}: {told}); give a URL, as in "
        "postgresql://user@host/database or sqlite:///study.db, or move a damaged file away"
    )


def require_same(study: optuna.Study, given: str | None) -> None:
    """UsageError for a shared study that another installation began: scores would not compare."""
    if not given:
        return
    began = study.user_attrs.get(INSTALLATION)
    if began is None:
        study.set_user_attr(INSTALLATION, installation())
    elif told := different(installation(), began):
        raise UsageError(
            f"STORAGE={without_password(given)}: the study {study.study_name} was begun by another "
            f"installation ({told}); install the same one on every machine, or give another storage"
        )


def _again() -> optuna.storages.RetryHeartbeatStaleTrialCallback:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)


def _earlier(trial: optuna.trial.FrozenTrial) -> list[int]:
    """The trials that this one takes up, the last one at the end."""
    return list(trial.system_attrs.get("retry_history", []))


def take_up(study: optuna.Study) -> None:
    """Queue what failed, was interrupted or has gone silent, unless it was queued before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
    trials = study.get_trials(deepcopy=False)
    taken = {number for trial in trials for number in _earlier(trial)}
    for trial in trials:
        if trial.state == TrialState.FAIL and trial.number not in taken:
            _again()(study, trial)


def others(study: optuna.Study) -> set[int]:
    """The trials that other machines run at this moment, by the number of the first attempt."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return {(_earlier(trial) or [trial.number])[0] for trial in running}


def retried(study: optuna.Study) -> int:
    """How many attempts wait to be taken up."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return sum(bool(_earlier(trial)) for trial in waiting)
