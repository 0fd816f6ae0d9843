"""Run a command on many boards: builds one after the other, boards beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.commands_shared import Found, emulated, on_target
from host_tools.errors import ToolMissing, UsageError
from host_tools.farm.choose import Port, connected, emulated_names, is_many
from host_tools.farm.job import Job, Row, State, error_of
from host_tools.farm.junit import require_place, write_junit
from host_tools.farm.pool import Pool, label, pool
from host_tools.farm.table import live, show, tell_end
from host_tools.farm.tasks import TASKS
from host_tools.stages.engine import update
from host_tools.stages.graph import Source, firmware_stages
from host_tools.stages.lock import locked
from host_tools.stages.session import announce, show_plan, up_to_date
from model.errors import TinyproofError
from model.files import write_bytes
from model.recording import record

LIMIT_S = 600
FOLDER = "farm"  # of a folder of results: what each board has said
PORT_FILE = "-port"  # behind the name of a result of a board at a port, as of Target.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """Which boards a command runs on, and how."""

    board: str | None  # as --board
    emulator: str | None
    ports: tuple[str, ...]  # as --port
    junit: Path | None
    limit_s: int | None  # for each board, from the start of its process; None: LIMIT_S
    again: str  # the command to repeat, with {port} in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is done with each board."""

    name: str  # of host_tools.farm.tasks
    options: Mapping[str, Any]


def on_boards(
    source: Source, farm: Farm, task: Task, *, dry_run: bool = False, why: bool = False
) -> None:
    """Do a task with one board in this process, or with many; or only print what would be built."""
    if is_many(farm.board, farm.ports) or farm.junit or farm.limit_s:
        if dry_run or why:
            plan_farm(source, farm, why=why)
        else:
            run_farm(source, farm, task)
        return
    port = farm.ports[0] if farm.ports else None
    with on_target(source, farm.board, farm.emulator, port, dry_run=dry_run, why=why) as found:
        if found is not None:
            TASKS[task.name](source.folder, found.board, found.target, **task.options)


def run_farm(source: Source, farm: Farm, task: Task) -> None:
    """Run, print the table, write JUnit XML.

    Raises the error of the highest exit code of all boards, and UsageError when none was run.
    """
    if farm.junit is not None:
        require_place(farm.junit)
    ports = connected(farm.board, farm.ports, farm.again)
    found = _emulated(farm)
    rows = [row for row, _ in found]
    rows += [Row(board=port.board or "?", where=port.address) for port in ports]
    with (
        _held(source, any(item for _, item in found)),
        pool(rows, farm.limit_s or LIMIT_S) as boards,
    ):
        boards.on_end = tell_end
        try:
            with live(task.name, lambda: boards.rows):
                for index, port in enumerate(ports, len(found)):
                    boards.start(index, *_at_port(source, task, port, ports))
                for index, (_, item) in enumerate(found):
                    if item is not None:
                        _build_and_start(boards, index, source, farm, task, item)
                boards.wait()
        finally:
            boards.stop()
            keep_worst(boards.rows, task.name, source.folder)
            show(task.name, boards.rows)
            if farm.junit is not None:
                write_junit(farm.junit, task.name, boards.rows)
    _judge(boards.rows, farm)


def plan_farm(source: Source, farm: Farm, *, why: bool) -> None:
    """Print what run_farm would build."""
    for row, item in _emulated(farm):
        print(f"{row.name}:" + (f" {row.state.value}: {row.message}" if item is None else ""))
        if item is not None:
            show_plan(firmware_stages(source, item.board), why=why)
    for port in connected(farm.board, farm.ports, farm.again):
        print(f"no stage would run: the firmware at {port.address} is taken as it is")


def _emulated(farm: Farm) -> list[tuple[Row, Found | None]]:
    """Each board to emulate; None with a row that says why it cannot be."""
    names, named = emulated_names(farm.board, farm.ports)
    found: list[tuple[Row, Found | None]] = []
    for name in names:
        try:
            item = emulated(name, farm.emulator)
        except UsageError as error:
            found.append((_not_run(Row(board=name, where="-"), error, named=named), None))
        else:
            found.append((Row(board=item.board.folder, where=item.target.name), item))
    return found


def _not_run(row: Row, error: TinyproofError, *, named: bool) -> Row:
    """Of `all` boards one that cannot be here is left out; one that was named has failed."""
    state, code = (State.ERROR, error.exit_code) if named else (State.SKIPPED, 0)
    return Row(board=row.board, where=row.where, state=state, code=code, message=str(error))


@contextmanager
def _held(source: Source, builds: bool) -> Iterator[None]:
    """The folder's lock, which no process of a board takes; recorded at the end.

    With `builds` the stages that all boards share are up to date in it.
    """
    if builds:
        with up_to_date(source, source.stages()):
            yield
        return
    with locked(source.folder):
        try:
            yield
        finally:
            record(source.folder)


def _build_and_start(
    boards: Pool, index: int, source: Source, farm: Farm, task: Task, item: Found
) -> None:
    """One after the other: each build uses all processors, and they share caches."""
    row = boards.rows[index]
    boards.change(index, state=State.BUILDING)
    try:
        update(firmware_stages(source, item.board), announce)
    except ToolMissing as error:
        named = emulated_names(farm.board, farm.ports)[1]
        left = _not_run(row, error, named=named)
        boards.change(index, state=left.state, code=left.code, message=left.message)
        return
    except TinyproofError as error:
        state = State.FAILED if error.exit_code == 1 else State.ERROR
        boards.change(index, state=state, code=error.exit_code, message=str(error))
        return
    job = Job(
        command=task.name,
        folder=source.folder,
        says=source.says,
        board=item.board.folder,
        emulator=item.target.name,
        port=None,
        beside="",
        options=task.options,
    )
    boards.start(index, job, _log(source, task, item.board.folder))


def _at_port(source: Source, task: Task, port: Port, ports: Sequence[Port]) -> tuple[Job, Path]:
    """The job of a connected board, whose files have the port in their names."""
    name = label(port.address)
    same = [other for other in ports if label(other.address) == name]
    name += f"-{same.index(port) + 1}" if len(same) > 1 else ""
    job = Job(
        command=task.name,
        folder=source.folder,
        says=source.says,
        board=port.board,
        emulator=None,
        port=port.address,
        beside=f"{PORT_FILE}-{name}",
        options=task.options,
    )
    return job, _log(source, task, name)


def _log(source: Source, task: Task, name: str) -> Path:
    return source.folder / FOLDER / f"{task.name}-{name}.log"


def keep_worst(rows: Sequence[Row], command: str, folder: Path) -> None:
    """What reports read of boards at ports: of several of a kind the worst; of equals the first.

    That is <board>/<command>-port.json; and of drift the worst of all, drift.json of the folder.
    """
    written = sorted((row for row in rows if row.file is not None), key=lambda row: -row.code)
    kept: dict[Path, Path] = {}
    for row in written:
        assert row.file is not None
        if row.file.name.startswith(f"{command}{PORT_FILE}-"):
            kept.setdefault(row.file.with_name(f"{command}{PORT_FILE}.json"), row.file)
        if command == "drift":
            kept.setdefault(folder / "drift.json", row.file)
    for place, file in kept.items():
        write_bytes(place, file.read_bytes())


def _judge(rows: Sequence[Row], farm: Farm) -> None:
    """Raise the worst of all boards."""
    run = [row for row in rows if row.state is not State.SKIPPED]
    if not run:
        raise UsageError(
            f"BOARD={farm.board}: no board could be run here; `make doctor` says what is missing"
        )
    bad = [row for row in run if row.code]
    if bad:
        names = ", ".join(f"{row.name} ({row.state.value})" for row in bad)
        code = max(row.code for row in bad)
        raise error_of(code, f"{len(bad)} of {len(run)} boards without success: {names}")
