"""Reads what a session needs of a folder of results, so that the folder is free afterwards."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host_tools.boards.board import Board
from host_tools.commands_shared import Found
from host_tools.errors import DeviceError, UsageError
from host_tools.link.device import Device
from host_tools.link.protocol import Sensor
from host_tools.link.target import check_identity, follow, open_port, usb_serial
from host_tools.link.transport import Transport, require_port
from host_tools.live.dataset import ClipStore
from host_tools.live.plan import Plan
from host_tools.live.reading import Described, HostInputs, Reader
from host_tools.live.sources import Take, replay_sensor
from host_tools.report.results import JsonObject, read_manifest, read_result
from model.datasets import load_dataset
from model.datasets.base import Dataset
from model.datasets.lists import split_groups
from model.datasets.truth import truth_of
from model.decide import load_rule
from model.errors import TinyproofError
from model.features.design import FrontEnd, recipe_front_end
from model.recipe import Recipe
from model.results import RECORDED
from model.tasks import AnomalyJudge, load_judge
from quantize.drift import Profile, load_profile

log = logging.getLogger(__name__)

MAX_TAKE_VALUES = 64 << 20  # of all recordings that can be replayed, int16
SHORT = 8  # digits of an experiment's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """The recordings of a recipe, those of the held-out groups first."""

    takes: tuple[Take, ...] = ()
    held_out: int = 0
    sensor: Sensor | None = None
    dataset: Dataset | None = None
    why: str = ""  # there are none


def make_plan(
    recipe: Recipe,
    found: Found,
    out_dir: Path,
    place: Path,
    find_port: Callable[[], str] | None,
    again: str,
) -> Plan:
    """The plan of a session with the firmware in `out_dir`, which is copied to `place`.

    `find_port` tells the port, where the user has not named one; `again` is the command typed.
    Raises UsageError for firmware without a front end, and as the readers of results do.
    """
    board, target = found.board, found.target
    manifest = read_manifest(board, out_dir)
    if manifest.get("features") is None:
        raise UsageError(
            f"{recipe.name}: its firmware has no front end, so it takes no samples; run "
            f"make emit RECIPE={recipe.name}"
        )
    front_end = recipe_front_end(recipe)
    recordings = load_recordings(recipe, front_end)
    dataset = recordings.dataset
    clips = ClipStore(recipe, dataset, board.id, Path("build") / "recordings")
    elf = place / "firmware.elf"
    built = out_dir / board.folder
    if (built / "firmware.elf").is_file():
        shutil.copy(built / "firmware.elf", elf)
    sizes = _sizes(built)

    def check(device: Device) -> None:
        check_identity(device, manifest, board)

    return Plan(
        title=recipe.name,
        board=board.id,
        target=target.name,
        emulated=target.emulator is not None,
        unit=target.unit(board),
        clock_hz=board.clock_hz if target.is_chip(board) else 0,
        start_s=target.start_s,
        images=(elf,) if elf.is_file() else (),
        open=_opener(found, elf, find_port),
        check=check,
        reader=_reader(out_dir, manifest, front_end),
        hop=front_end.hop,
        takes=recordings.takes,
        held_out=recordings.held_out,
        replay=recordings.sensor,
        no_takes=recordings.why,
        labels=_labels(recipe, dataset),
        where=clips.where,
        refuse=clips.refuse,
        save=clips.save,
        again=again,
        experiment=_experiment(out_dir),
        flash_bytes=sizes.get("flash_bytes"),
        ram_bytes=sizes.get("ram_bytes"),
        profile=_profile(out_dir, manifest, board),
    )


def _opener(
    found: Found, elf: Path, find_port: Callable[[], str] | None
) -> Callable[[], Transport]:
    """What starts the emulator, or looks for the port and opens it.

    Later the same board is found again under any name, by its USB serial number, and no other is
    taken for it; without such a number it is the one that `find_port` finds, or keeps its name.
    """
    board, target = found.board, found.target
    again: Callable[[], str | None] | None = None
    serial = ""

    def start() -> Transport:
        nonlocal again, serial
        if target.emulator is not None:
            return target.emulator.start(elf)
        port = again() if again else None
        if serial and port is None:
            raise DeviceError(
                f"the board with the USB serial number {serial} is not plugged in; plug it in "
                "again, or start anew for another board"
            )
        port = port or (find_port() if find_port else target.port or "")
        require_port(port, f"make live BOARD={board.id} PORT={{port}}")
        opened = open_port(port, board)
        again, serial = follow(port), usb_serial(port)
        return opened

    return start


def _reader(out_dir: Path, manifest: JsonObject, front_end: FrontEnd) -> Callable[[], Reader]:
    """What makes a reader of the model's outputs, by the task of its recipe."""
    described = _described(manifest)
    judge = load_judge(out_dir, manifest["settings"], len(manifest["labels"]))
    classes = manifest["settings"].get("task", "classification") == "classification"
    rule = load_rule(out_dir, manifest["model_sha256"]) if classes else None

    def reader() -> Reader:
        needs = isinstance(judge, AnomalyJudge)
        inputs = HostInputs(front_end, manifest["features"]["input"]) if needs else None
        return Reader(described, judge, rule, inputs)

    return reader


def load_recordings(recipe: Recipe, front_end: FrontEnd) -> Recordings:
    """All recordings that fit MAX_TAKE_VALUES; none, with the reason, where they cannot be read."""
    try:
        dataset = load_dataset(recipe.dataset, truth_of(recipe))
        test = split_groups(dataset, recipe.dataset)["test"]
    except (TinyproofError, OSError) as error:
        return Recordings(why=f"the recipe's recordings cannot be read: {error}")
    ordered = sorted(dataset.recordings, key=lambda r: r.group not in test)
    takes: list[Take] = []
    room, held_out = MAX_TAKE_VALUES, 0
    for recording in ordered:
        samples = front_end.to_lsb(recording.values)
        room -= samples.size
        if room < 0:
            break
        plain = recipe.task in ("classification", "anomaly")
        truth = dataset.labels[recording.label] if plain else ""
        group = str(dataset.group_title(recording.group))
        name = recording.name or f"{len(takes) + 1} of {group}"
        takes.append(Take(name=name, truth=truth, samples=samples))
        held_out += recording.group in test
    return Recordings(
        takes=tuple(takes),
        held_out=held_out,
        sensor=replay_sensor(front_end, dataset) if takes else None,
        dataset=dataset,
        why="" if takes else "its data set has no recordings",
    )


def _described(manifest: JsonObject) -> Described:
    output = manifest["outputs"][0]
    size = 1
    for length in output["shape"]:
        size *= int(length)
    return Described(
        labels=tuple(manifest["labels"]),
        scale=float(output.get("scale") or 1.0),
        zero_point=int(output.get("zero_point") or 0),
        dtype=str(output["dtype"]),
        size=size,
    )


def _labels(recipe: Recipe, dataset: Dataset | None) -> tuple[str, ...]:
    if recipe.task == "regression":
        return ()
    return recipe.dataset.labels or (dataset.labels if dataset else ())


def _sizes(built: Path) -> dict[str, int]:
    """Of the build that the board runs; none of a board that was not built here."""
    try:
        return read_result(built / "size.json", "flash_bytes", "ram_bytes")
    except (FileNotFoundError, UsageError):
        return {}


def _experiment(out_dir: Path) -> str:
    try:
        return str(read_result(out_dir / RECORDED, "run")["run"])[:SHORT]
    except (FileNotFoundError, UsageError):
        return ""


def _profile(out_dir: Path, manifest: JsonObject, board: Board) -> Profile | None:
    """Of the same model; a folder may have none."""
    try:
        profile = load_profile(out_dir / "profile.json")
    except TinyproofError as error:
        log.debug("%s: %s", board.id, error)
        return None
    return profile if profile.model_sha256 == manifest["model_sha256"] else None
