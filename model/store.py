"""The store of experiments: MLflow, in a local SQLite file or wherever MLFLOW_TRACKING_URI says.

`python -m model.store FOLDER` records what is new in a folder of results. A number in a result file
is a metric of the same path (qemu_m4/bench.json, counts: qemu_m4/bench/counts), a setting of the
recipe is a parameter, result files and the model are artifacts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from filelock import FileLock, Timeout

from model.addresses import without_password
from model.errors import ModelSideError
from model.files import write_json
from model.processes import scratch_folder
from model.results import (
    EXPERIMENT,
    KEPT,
    MODEL,
    RECORDED,
    RESULTS,
    fingerprints,
    matches,
    own_files,
)
from model.toml_writer import to_toml
from model.tracking import describe_code, load

FOLDER = Path(".experiments")  # beside build/, which `make clean` removes
GROUP = "tinyproof"  # MLflow's experiment; each of ours is a run of it
KIND = {"mlflow.experimentKind": "custom_model_development"}  # which of its pages MLflow opens
RECIPE, FINGERPRINTS = "recipe.toml", "fingerprints.json"  # artifacts
NO_METRICS = {"settings", "tools", "history"}  # of a result file
BUSY_S, REQUEST_S = 5.0, 5  # how long a locked file, or one request to a server, is waited for
LOCK, LOCK_S = ".recording.lock", 120.0  # of a folder: one recording at a time
MAX_SETTING, MAX_TAG, BATCH = 6000, 5000, 100  # MLflow's limits


class StoreError(ModelSideError):
    """The store is damaged, locked or not there; says which store, why, and what to do."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One recorded experiment."""

    id: str
    name: str
    started_ms: int
    settings: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]


def address() -> str:
    """MLFLOW_TRACKING_URI, or the project's own file."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(FOLDER / 'mlflow.db').resolve()}"


def experiments() -> list[Experiment]:
    """All experiments of the store, the newest first; StoreError when it cannot be read."""
    file = _sqlite_file(address())
    if file is not None and not file.exists():
        return []
    with _store() as client:
        group = client.get_experiment_by_name(GROUP)
        if group is None:
            return []
        runs: list[Any] = []
        page: str | None = None
        while page != "":
            found = client.search_runs([group.experiment_id], max_results=1000, page_token=page)
            runs, page = [*runs, *found], found.token or ""
    return [
        Experiment(
            id=run.info.run_id,
            name=run.info.run_name,
            started_ms=run.info.start_time,
            settings=dict(run.data.params),
            tags={k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
            metrics=dict(run.data.metrics),
        )
        for run in runs
    ]


def artifact(experiment_id: str, name: str) -> bytes:
    """A file of an experiment; StoreError when it has none of that name."""
    with _store() as client, scratch_folder("store") as folder:
        return Path(client.download_artifacts(experiment_id, name, str(folder))).read_bytes()


def results(experiment_id: str, folder: Path) -> None:
    """Put the result files of an experiment into `folder`, where they lay in its own."""
    for name in artifact_names(experiment_id):
        path = PurePosixPath(name)
        if matches(name, RESULTS) and ".." not in path.parts and not path.is_absolute():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(artifact(experiment_id, name))


def artifact_names(experiment_id: str) -> set[str]:
    """The files of an experiment."""
    found, folders = set(), [""]
    with _store() as client:
        while folders:
            for entry in client.list_artifacts(experiment_id, folders.pop() or None):
                if entry.is_dir:
                    folders.append(entry.path)
                else:
                    found.add(entry.path)
    return found


def serve_command(port: int) -> list[str]:
    """The command line of MLflow's pages for the store; StoreError when it is damaged."""
    uri = address()
    if (file := _sqlite_file(uri)) is None:
        raise StoreError(
            f"{without_password(uri)}: not a local store; open its address in a browser"
        )
    _check_file(file)
    _quiet()
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    return [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def record(out_dir: Path) -> str:
    """Bring what is new in `out_dir` into the store; returns the experiment's id.

    One recording of a folder at a time. Raises StoreError and DataError; then recorded.json is as
    it was, and the next call records what is missing.
    """
    lock = FileLock(out_dir / LOCK, timeout=LOCK_S)
    try:
        with lock, _store() as client:
            return _record(client, out_dir)
    except Timeout as error:
        raise StoreError(
            f"{out_dir}: another recording of this folder has not ended in {LOCK_S:.0f} s; run "
            "again when it has"
        ) from error


def pending(out_dir: Path) -> set[str]:
    """The files of `out_dir` that are not recorded yet; DataError for one that cannot be read."""
    experiment = load(out_dir)
    files, _ = own_files(out_dir, experiment["settings"])
    local = _sqlite_file(address())
    known = _recorded(out_dir, experiment)
    if known["run"] is None or (local is not None and not local.exists()):
        return set(files)
    return {name for name, digest in files.items() if known["files"].get(name) != digest}


def _recorded(out_dir: Path, experiment: Mapping[str, Any]) -> dict[str, Any]:
    """recorded.json, where it is of this experiment and this store: its run, its files."""
    identity = {"started_ms": experiment["started_ms"], "store": without_password(address())}
    try:
        content = json.loads((out_dir / RECORDED).read_text("utf-8"))
        if content.items() >= identity.items() and content.keys() >= {"run", "files"}:
            return dict(content)
    except (OSError, ValueError, AttributeError):
        pass
    return identity | {"run": None, "files": {}}


def _record(client: Any, out_dir: Path) -> str:
    experiment = load(out_dir)
    if not (out_dir / EXPERIMENT).exists():
        write_json(out_dir / EXPERIMENT, experiment)
    known = _recorded(out_dir, experiment)
    files, results = own_files(out_dir, experiment["settings"])
    if known["run"] is None or not _exists(client, known["run"]):
        known |= {"run": _create(client, experiment), "files": {}}
        write_json(out_dir / RECORDED, known)
    run = str(known["run"])
    new = [name for name, digest in files.items() if known["files"].get(name) != digest]
    _log(client, run, {name: results[name] for name in new if name in results})
    tags = {
        "model_sha256": files.get(MODEL),
        "firmware_run_id": _listed(
            content["run_id"] for name, content in results.items() if name.startswith("gen/")
        ),
    }
    _tag(client, run, {name: value for name, value in tags.items() if value})
    for name in [k for k in new if k in results or matches(k, KEPT)]:
        folder = PurePosixPath(name).parent.as_posix()
        client.log_artifact(run, str(out_dir / name), folder if folder != "." else None)
    prints = json.dumps(fingerprints(files), indent=2, sort_keys=True)
    client.log_text(run, prints, FINGERPRINTS)
    client.set_terminated(run)
    write_json(out_dir / RECORDED, known | {"files": files})
    return run


def _listed(values: Iterable[str]) -> str:
    """Each of the values once: the kernel sets of one firmware may have a run id each."""
    return ",".join(sorted(set(values)))


def _create(client: Any, experiment: Mapping[str, Any]) -> str:
    """A new run with the settings of `experiment`."""
    from mlflow.entities import Param

    group = client.get_experiment_by_name(GROUP)
    local = _sqlite_file(address())
    artifacts = (local.parent / "artifacts").as_uri() if local else None
    id = group.experiment_id if group else client.create_experiment(GROUP, artifacts, KIND)
    run = client.create_run(id, start_time=experiment["started_ms"], run_name=experiment["name"])
    run_id = str(run.info.run_id)
    settings = [Param(k, v[:MAX_SETTING]) for k, v in flatten(experiment["settings"])]
    code, tools = experiment["code"], experiment["tools"]
    tags = {"code": describe_code(code, experiment["version"]), "version": experiment["version"]}
    tags |= {f"tool.{name}": release for name, release in tools.items()}
    if code["commit"]:
        tags["mlflow.source.git.commit"] = code["commit"]
    for i in range(0, len(settings), BATCH):
        client.log_batch(run_id, params=settings[i : i + BATCH])
    _tag(client, run_id, tags)
    if experiment["settings"]:
        client.log_text(run_id, to_toml(experiment["settings"]), RECIPE)
    return run_id


def _tag(client: Any, run: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run, tags=[RunTag(k, str(v)[:MAX_TAG]) for k, v in tags.items()])


def _log(client: Any, run: str, results: Mapping[str, Any]) -> None:
    """Metrics and tags of result files."""
    from mlflow.entities import Metric

    now = round(time.time() * 1000)
    metrics, tags = [], {}
    for name, content in results.items():
        prefix = name.removesuffix(".json")
        metrics += [Metric(f"{prefix}/{k}", v, now, 0) for k, v in _numbers(content)]
        history = content.get("history", {})
        for key in set(history) - {"step"}:
            points = zip(history.get("step", []), history[key], strict=False)
            metrics += [Metric(f"{prefix}/{key}", value, now, step) for step, value in points]
        if name == "dataset.json":
            tags["data_sha256"] = content["sha256"]
        elif name == "quantize.json":
            tags["chosen"] = content["chosen"]
    for i in range(0, len(metrics), BATCH):
        client.log_batch(run, metrics=metrics[i : i + BATCH])
    _tag(client, run, tags)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """('train.seed', '1') and so on; lists as JSON, and what is None is left out."""
    flat: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = prefix + _plain(key)
        if isinstance(value, Mapping):
            flat += flatten(value, f"{name}.")
        elif value is not None:
            flat.append((name, value if isinstance(value, str) else json.dumps(value)))
    return flat


def _numbers(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Each number in tables of tables with its path."""
    for key, value in content.items():
        name = prefix + _plain(key)
        if isinstance(value, Mapping) and key not in NO_METRICS:
            yield from _numbers(value, f"{name}/")
        elif type(value) in (int, float) and math.isfinite(value):
            yield name, float(value)


def _plain(key: str) -> str:
    """A part of a name that MLflow takes."""
    return re.sub(r"[^\w\- ]", "_", key)[:60] or "_"


def _exists(client: Any, run: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _sqlite_file(uri: str) -> Path | None:
    """The absolute path of a local store; sqlite:///here.db starts at the current folder."""
    name = uri.removeprefix("sqlite:///")
    return Path(unquote(name)).resolve() if name != uri else None


def _check_file(file: Path) -> None:
    """StoreError within seconds when the file is no database, or is locked or read-only."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{file}: its folder cannot be made: {error.strerror}; set MLFLOW_TRACKING_URI to "
            "another store"
        ) from error
    if not file.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=BUSY_S)) as database:
            database.execute("BEGIN IMMEDIATE")
            problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"{file}: {error}; end the program that uses it, or make it writable, and run again"
        ) from error
    except sqlite3.DatabaseError as error:
        problem = str(error)
    if problem != "ok":
        raise StoreError(
            f"{file}: damaged ({problem}); move it away and a new one is made, or set "
            "MLFLOW_TRACKING_URI to another store"
        )


def _quiet() -> None:
    """No telemetry, no chatter, and no waiting for minutes, unless the user has said otherwise."""
    for key, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(REQUEST_S),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # its errors are raised as well
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }.items():
        os.environ.setdefault(key, value)


@contextlib.contextmanager
def _store() -> Iterator[Any]:
    """MLflow's client; whatever goes wrong with it is a StoreError."""
    _quiet()
    uri = address()
    if (file := _sqlite_file(uri)) is not None:
        _check_file(file)
    try:
        import logging

        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        logging.getLogger("alembic").setLevel(logging.ERROR)
    except ImportError as error:
        raise StoreError(f"MLflow is not installed ({error}); run `make setup`") from error
    try:
        yield MlflowClient(tracking_uri=uri)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        why = without_password(str(error).strip()).splitlines()[0][:300]
        raise StoreError(
            f"{without_password(uri)}: {why}; start the server or set "
            "MLFLOW_TRACKING_URI to another store"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """Record one folder."""
    parser = argparse.ArgumentParser(prog="python -m model.store", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder of results")
    folder = parser.parse_args(arguments).folder
    try:
        if not folder.is_dir():
            raise StoreError(f"{folder}: no such folder; expected a folder of results")
        print(f"recorded in experiment {record(folder)[:8]} (make runs)")
    except ModelSideError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
