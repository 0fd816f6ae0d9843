"""Both engines in a report, and results of one that never stand for the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from host_tools.boards.board import load_board
from host_tools.build import engine
from host_tools.commands.compare import command
from host_tools.report.collect import collect
from host_tools.report.engines import engine_tables, rows
from host_tools.report.write import write_report
from model.files import write_json
from tests.result_files import write_run

TITLE = "Generated code and TFLite Micro"


def write_engine(out_dir: Path, folder: str, **changes: object) -> None:
    """Results of a board with TFLite Micro: those of generated code with other numbers."""
    board = load_board(folder)
    (out_dir / folder).mkdir(exist_ok=True)
    about = {"kernels": "tflm", "engine": "tflm", "run_id": "ba9876543210"}
    for name in ("parity", "bench", "size"):
        found = json.loads((out_dir / board.id / f"{name}.json").read_text())
        more = {"counts": 3 * found["counts"], "start_counts": 1_800} if name == "bench" else {}
        write_json(out_dir / folder / f"{name}.json", found | about | more | changes)
    manifest = json.loads((out_dir / "gen" / "ref" / "manifest.json").read_text())
    write_json(out_dir / "gen-tflm" / "manifest.json", manifest | about)


def test_a_report_shows_both_engines_of_a_board(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    assert TITLE not in (write_report(out_dir), (out_dir / "report.html").read_text())[1]
    write_engine(out_dir, "qemu_m4-tflm")
    write_report(out_dir)
    assert TITLE in (out_dir / "report.html").read_text()
    ((name, table),) = engine_tables(collect(out_dir))
    assert name == "qemu_m4 and qemu_m4-tflm"
    told = {row.title: row for row in table}
    counts = json.loads((out_dir / "qemu_m4" / "bench.json").read_text())["counts"]
    row = told["instructions an inference"]
    assert (row.values, row.ratio) == ((f"{counts:,}", f"{3 * counts:,}"), "3.00")
    assert told["instructions before the first"].values == ("18", "1,800")


def test_what_an_interpreter_has_shown_proves_nothing_of_generated_code(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    before = collect(out_dir)
    write_engine(out_dir, "qemu_m4-tflm", equal=0)
    write_engine(out_dir, "nano33-tflm", emulator=None, port="/dev/ttyACM0", unit="cycles")
    after = collect(out_dir)
    for part in ("verdict", "ladder"):
        assert after[part] == before[part]
    assert set(after["boards"]) == set(before["boards"])
    assert set(after["interpreted"]) == {"qemu_m4-tflm", "nano33-tflm"}


def test_results_of_another_run_are_not_shown(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    write_engine(out_dir, "qemu_m4-tflm")
    manifest = out_dir / "gen-tflm" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("ba9876543210", "0" * 12))
    assert list(engine_tables(collect(out_dir))) == []


def test_what_was_not_measured_is_a_dash(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    ours = collect(out_dir)["boards"]["qemu_m4"]
    for row in rows({"aot": ours}):
        assert row.values[1] == "–" and row.ratio == ""


def test_a_release_with_one_scale_for_all_channels_is_doubted(tmp_path: Path) -> None:
    rules = engine._rules()
    header = tmp_path / "src" / "tensorflow/lite/micro/kernels/fully_connected.h"
    header.parent.mkdir(parents=True)
    resolver = tmp_path / "model_resolver.h"
    for text, marked, doubted in (
        ("struct OpDataFullyConnected { int32_t output_multiplier; };", 1, True),
        ("struct OpDataFullyConnected { bool is_per_channel; };", 1, False),
        ("struct OpDataFullyConnected { int32_t output_multiplier; };", 0, False),
    ):
        header.write_text(text)
        resolver.write_text(f"#define MODEL_PER_CHANNEL_DENSE {marked} /* */\n")
        told = rules.doubt(tmp_path, resolver)
        assert (told is not None) == doubted
        assert told is None or "one scale for all channels of a FULLY_CONNECTED" in told


@pytest.mark.parametrize("board", ["qemu_m4-tflm", "qemu_m4-selftest"])
def test_compare_wants_the_board_alone(board: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["motion", "--board", board])
    assert "compare runs both engines; name the board only" in str(done.exception or done.output)
