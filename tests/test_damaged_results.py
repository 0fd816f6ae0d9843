"""Result files with something else in them: every reader of them says so, and none falls over."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools.errors import UsageError
from host_tools.experiments import comparison
from host_tools.gate.figures import measured
from host_tools.report.card import model_card
from host_tools.report.collect import collect
from model import store
from model.files import write_json
from model.store import Experiment
from tests.result_files import write_drift, write_run

STRANGE: tuple[Any, ...] = (None, "x", [], {}, -1, 1e308, True, [{}], {"a": []})
BOARDS = ("qemu_m4", "esp32", "native")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out_dir = write_run(tmp_path_factory.mktemp("whole") / "motion")
    write_drift(out_dir)
    return out_dir


@pytest.fixture
def compared(whole: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """The page of the whole results beside those of a folder."""

    def page(out_dir: Path) -> str:
        monkeypatch.setattr(
            store,
            "results",
            lambda id, folder: shutil.copytree(
                whole if id == "a" else out_dir, folder, dirs_exist_ok=True
            ),
        )
        experiments = [
            Experiment(id=id, name="motion", started_ms=0, settings={}, tags={}, metrics={})
            for id in "ab"
        ]
        return comparison.comparison_page(*experiments)

    return page


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value of JSON."""
    yield path
    if isinstance(value, list):
        value = dict(enumerate(value[:2]))
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another thing in one place."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize(
    "name", ["qemu_m4/parity.json", "qemu_m4/bench.json", "qemu_m4/size.json", "drift.json",
             "train.json", "quantize.json", "dataset.json", "gen/ref/manifest.json"],
)  # fmt: skip
@pytest.mark.parametrize("number", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_what_reads_results_falls_over_none(
    number: int, name: str, whole: Path, tmp_path: Path, compared: Callable[[Path], str]
) -> None:
    out_dir = Path(shutil.copytree(whole, tmp_path / "motion"))
    content = json.loads((whole / name).read_text())
    rng = random.Random(name)
    every = [path for path in places(content) if path]
    told = 0
    for path in rng.sample(every, min(number, len(every))):
        write_json(out_dir / name, changed(content, path, rng.choice(STRANGE)))
        for read in (collect, model_card, lambda place: measured(place, BOARDS), compared):
            try:
                read(out_dir)
            except UsageError as error:
                told += 1
                assert "motion" in str(error) or "1970" in str(error), error
    write_json(out_dir / name, [])
    with pytest.raises(UsageError, match="expected a JSON object"):
        collect(out_dir)


def test_figures_that_no_gate_can_hold_are_told(whole: Path, tmp_path: Path) -> None:
    out_dir = Path(shutil.copytree(whole, tmp_path / "motion"))
    for strange in ("x", None, 1e308, []):
        size = json.loads((whole / "qemu_m4/size.json").read_text()) | {"flash_bytes": strange}
        write_json(out_dir / "qemu_m4/size.json", size)
        with pytest.raises(UsageError, match=r"motion: a result file .* another shape"):
            measured(out_dir, BOARDS)
