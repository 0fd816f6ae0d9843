"""What is in the store of experiments: list them, show one, compare two, ask a board for its own.

Names and values in a store may be anybody's: they are printed as plain text, never as markup.
"""

from __future__ import annotations

import difflib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from rich.table import Column, Table

from host_tools.boards.board import Board
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.device import Device
from host_tools.link.protocol import Hello
from host_tools.link.target import choose_target, image_words, open_device, open_port
from host_tools.link.transport import require_port
from host_tools.terminal import plain, wide_console
from host_tools.wording import as_typed
from model import recording
from model.addresses import without_password
from model.store import Experiment, address, experiments, serve_command

LISTED = 30  # experiments that a table has
SHORT = 8  # digits of an id that a table shows
NO_VALUE = "–"
WIDTH = 160  # of a table in a file
UI_PORT = 5000
# Figures that differ between equal experiments.
TIMES = re.compile(r"(^|/)seconds$|/host_latency_ms/")
# The results that answer "how good, how large, how fast"; the others are for comparisons.
SHOWN = re.compile(
    r"dataset/splits/\w+/windows|train/(metrics/\w+/(balanced_accuracy|mean_r2|macro_f1)|seconds)"
    r"|quantize/candidates/\w+/\w+/(balanced_accuracy|auc|mean_r2|macro_f1)"
    r"|[\w-]+/(parity/(cases|equal)|bench/(counts|arena_bytes)|size/(flash|ram)_bytes"
    r"|features/max_difference)"
)
HEAD = {
    "code": "code",
    "data_sha256": "dataset",
    "model_sha256": "model",
    "firmware_run_id": "firmware run id",
    "chosen": "quantisation chosen",
}


def print_runs() -> None:
    """A table of the newest experiments; StoreError when the store cannot be read."""
    found = experiments()
    console = wide_console(WIDTH)
    if not found:
        told = f"no experiments in {without_password(address())}; `make train` makes one"
        if recording.is_off():
            told += "; recording is off (TINYPROOF_TRACKING)"
        console.print(as_typed(told), markup=False)
        return
    columns = "id,date,recipe,firmware run id,float,int8,model bytes,parity,code"
    table = Table(*columns.split(","))
    for experiment in found[:LISTED]:
        table.add_row(*map(plain, _row(experiment)))
    console.print(table)
    console.print(
        "float, int8: balanced accuracy, R2 or macro F1 on the test groups; "
        "parity: boards equal in full"
    )
    if len(found) > LISTED:
        console.print(f"{len(found) - LISTED} older ones: make runs-ui")


def _row(experiment: Experiment) -> list[str]:
    metrics, tags = experiment.metrics, experiment.tags
    chosen = f"quantize/candidates/{tags.get('chosen', '')}/test"
    scores = [_score(metrics, folder) for folder in ("train/metrics/test", chosen)]
    size = metrics.get("gen/ref/manifest/model_bytes")
    boards = _boards(metrics, "parity")
    equal = [b for b in boards if metrics[f"{b}/parity/equal"] == metrics[f"{b}/parity/cases"]]
    return [
        experiment.id[:SHORT],
        _date(experiment),
        experiment.name,
        " ".join(_firmware(experiment)) or NO_VALUE,
        *scores,
        NO_VALUE if size is None else f"{size:,.0f}",
        f"{len(equal)} of {len(boards)}" if boards else NO_VALUE,
        tags.get("code", NO_VALUE),
    ]


def _score(metrics: Mapping[str, float], folder: str) -> str:
    for name, word in (("balanced_accuracy", ""), ("mean_r2", "R2 "), ("macro_f1", "F1 ")):
        if (value := metrics.get(f"{folder}/{name}")) is not None:
            return f"{word}{value:.3f}" if name == "mean_r2" else f"{word}{value:.1%}"
    return NO_VALUE


def _boards(metrics: Mapping[str, float], result: str) -> list[str]:
    return sorted({k.split("/")[0] for k in metrics if k.count("/") == 2 and f"/{result}/" in k})


def _date(experiment: Experiment) -> str:
    try:
        return datetime.fromtimestamp(experiment.started_ms / 1000).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # of another program's run
        return NO_VALUE


def title_of(experiment: Experiment) -> str:
    """Its short id, and when it began."""
    return f"{experiment.id[:SHORT]} {_date(experiment)}"


def find(wanted: str, among: Sequence[Experiment]) -> Experiment:
    """The newest experiment for 'last', else the one whose id or a firmware run id begins so.

    Raises UsageError when there is none, with the closest, or when several ids begin so. Of several
    experiments with one firmware run id (equal settings, equal model) the newest is taken.
    """
    if not among:
        raise UsageError(f"no experiments in {without_password(address())}; run `make train` first")
    if wanted == "last":
        return among[0]
    by_id = {e.id: e for e in among if wanted and e.id.startswith(wanted)}
    by_run = {
        run: e for e in reversed(among) for run in _firmware(e) if wanted and run.startswith(wanted)
    }
    matching = by_id or by_run
    if len({e.id for e in matching.values()}) > 1:
        listed = ", ".join(sorted(matching)[:5])
        raise UsageError(f"experiment {wanted!r}: {len(matching)} begin so: {listed}; type more")
    if not matching:
        known = sorted({name for e in among for name in (e.id[:SHORT], *_firmware(e))})
        closest = difflib.get_close_matches(wanted, known, 1, 0.0)
        raise UsageError(
            f"experiment {wanted!r}: not in {without_password(address())}; the closest of "
            f"{len(among)} is {closest[0]}; `make runs` lists them, `make runs SHOW=last` shows "
            "the newest"
        )
    return next(iter(matching.values()))


def _firmware(experiment: Experiment) -> list[str]:
    """The run ids of its firmware: the sets of kernels may have one each."""
    return [run for run in experiment.tags.get("firmware_run_id", "").split(",") if run]


def show(wanted: str) -> None:
    """Settings, results and versions of one experiment."""
    print_experiment(find(wanted, experiments()))


def print_experiment(experiment: Experiment) -> None:
    """The same, of one that has been found."""
    console = wide_console(WIDTH)
    console.print(
        plain(f"experiment {experiment.id}: {experiment.name}, {_date(experiment)}", style="bold")
    )
    for tag, title in HEAD.items():
        if tag in experiment.tags:
            console.print(plain(f"  {title}: {experiment.tags[tag]}"))
    tools = {k[5:]: v for k, v in experiment.tags.items() if k.startswith("tool.")}
    console.print(plain("  tools: " + ", ".join(f"{k} {v}" for k, v in sorted(tools.items()))))
    results = {k: _number(v) for k, v in experiment.metrics.items() if SHOWN.fullmatch(k)}
    for title, values in (("setting", experiment.settings), ("result", results)):
        if values:
            table = Table(title, Column("value", overflow="fold"))
            for key in sorted(values):
                table.add_row(plain(key), plain(values[key]))
            console.print(table)
    if more := len(experiment.metrics) - len(results):
        told = f"{more} more numbers are recorded: make runs DIFF=a,b, make runs-ui"
        console.print(as_typed(told), markup=False)


def _number(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{value:,.0f}" if value.is_integer() else f"{value:.6g}"


def pair(wanted: str) -> tuple[Experiment, Experiment]:
    """The experiments 'a,b'; raises UsageError as find does."""
    names = [name.strip() for name in wanted.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError(f"DIFF={wanted}: expected two experiments, as in DIFF=last,1a2b3c4d")
    found = experiments()
    first, second = (find(name, found) for name in names)
    return first, second


def print_differences(wanted: str) -> None:
    """What differs between the experiments 'a,b', b beside a: settings, versions and results."""
    first, second = pair(wanted)
    console = wide_console(WIDTH)
    titles = [f"{side}: {title_of(e)}" for side, e in (("A", first), ("B", second))]
    columns = (Column(plain(title), overflow="fold") for title in titles)
    table = Table(Column(overflow="fold"), *columns, title="B against A: from A's value to B's")
    for key, a, b in differences(first, second):
        table.add_row(*map(plain, (key, a, b)))
    if table.row_count:
        console.print(table)
    else:
        console.print("no setting, no version and no result differs")


def differences(first: Experiment, second: Experiment) -> list[tuple[str, str, str]]:
    """(name, value of the first, value of the second): settings, then versions, then results."""
    rows: list[tuple[str, str, str]] = []
    for a, b in ((first.settings, second.settings), (first.tags, second.tags)):
        keys = sorted(k for k in {*a, *b} if a.get(k) != b.get(k))
        rows += [(k, a.get(k, NO_VALUE), b.get(k, NO_VALUE)) for k in keys]
    x, y = first.metrics, second.metrics
    keys = sorted(k for k in {*x, *y} if x.get(k) != y.get(k) and not TIMES.search(k))
    return rows + [(k, _number(x.get(k)), _number(y.get(k))) for k in keys]


def serve(port: int | None) -> NoReturn:
    """Become MLflow's server for the store's pages; Ctrl+C ends it.

    Raises UsageError for a port that is in use or does not exist.
    """
    port = port or UI_PORT
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"port {port} of this computer cannot be used: {error}; give another one: "
            "`make runs-ui HTTP_PORT=5001`"
        ) from error
    command = serve_command(port)
    print(
        f"http://127.0.0.1:{port}: choose 'Model training' at the top left, then tinyproof",
        flush=True,
    )
    os.execv(command[0], command)


def whois_port(port: str, board: Board | None) -> int:
    """Ask the board at a port what it runs, print the experiment behind it.

    Raises UsageError or DeviceError, HostToolsError when the store has no such experiment.
    """
    require_port(port, "make whois PORT={port}")
    with Device(open_port(port, board), running=True) as device:
        return _print_origin(device.info)


def whois_firmware(board_dir: Path, board: Board, emulator: str | None) -> int:
    """The same of the firmware in `board_dir`, in an emulator."""
    with open_device(choose_target(board, emulator, None), board, board_dir) as device:
        return _print_origin(device.info)


def _print_origin(info: Hello) -> int:
    wide_console(WIDTH).print(
        plain(
            f"{info.board_id}: model {info.model_name}, tinyproof {info.version}\n"
            f"  firmware run id {info.run_id}, model {info.model_sha256}\n"
            f"  {image_words(info.kernels, info.framework, info.engine)}"
        )
    )
    found = experiments()
    same_run = [e for e in found if info.run_id in _firmware(e)]
    same_model = [e for e in found if e.tags.get("model_sha256") == info.model_sha256]
    if not same_run and not same_model:
        raise HostToolsError(
            f"this firmware is from no experiment in {without_password(address())}: none has its "
            "run id or its model; MLFLOW_TRACKING_URI names another store"
        )
    if not same_run:
        print("same model, other settings or another release of tinyproof:")
    print_experiment((same_run or same_model)[0])
    if len(same_run) > 1:
        print(f"{len(same_run) - 1} older ones have the same settings and the same model")
    return 0
