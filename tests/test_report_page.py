"""What a reader sees first of a report, how a board gets the firmware, and how pages fit phones."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from host_tools.report.write import write_report
from host_tools.wording import GOALS
from model.files import write_json
from model.stages import check as check_stage
from tests.checked_data import RECIPE, good_dataset
from tests.result_files import LABELS, write_board, write_model, write_run, write_training
from tests.test_report import Page, read_page

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} -->" + "long" * 40
PHONE = 390  # CSS pixels
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def tiles(out_dir: Path) -> list[str]:
    """The text of each tile, in order."""
    page = write_report(out_dir).read_text("utf-8")
    listed = re.findall(r'<ul class="tiles">(.*?)</ul>', page, re.S)[0]
    return [
        Page(tile).text.replace("\u00a0", " ").strip()
        for tile in re.findall(r"<li>.*?</li>", listed, re.S)
    ]


# --- the first tiles ---------------------------------------------------------------------------


def test_the_first_tiles_are_accuracy_time_and_whether_it_fits(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    score, nano33, esp32, fits, fits_esp32c3, fits_esp32, *rest = tiles(out_dir)
    measured = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())["metrics"]
    told = f"{measured['balanced_accuracy'] * 100:.1f} %"
    assert score.startswith(f"{told} balanced accuracy, int8 on qemu_m4 float 9")
    assert score.endswith("; 1,240 windows of 2 held-out groups")
    estimated = json.loads((out_dir / "qemu_m4" / "bench.json").read_text())["estimates"][0]
    middle = estimated["milliseconds"][1]
    assert nano33.startswith(f"≈ {middle:.0f} ms an inference on nano33, estimate not measured; ")
    assert nano33.endswith("at 64 MHz")
    cycles = json.loads((out_dir / "qemu_xtensa" / "bench.json").read_text())["estimates"][0][
        "cycles"
    ]
    assert esp32.startswith(f"≈ {cycles[1] / 240e6 * 1e3:.0f} ms an inference on esp32, estimate")
    assert esp32.endswith("at 240 MHz")
    assert fits == "fits on nano33 24.4 KiB of 960.0 KiB flash, 11.8 KiB of 256.0 KiB RAM"
    assert "on esp32c3" in fits_esp32c3  # without a time: nothing estimates its instructions
    assert fits_esp32.startswith("fits on esp32 24.4 KiB of 4,224.0 KiB flash")
    assert any("inferences equal" in tile for tile in rest)


def test_a_boards_own_cycles_take_the_place_of_an_estimate(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    bench = json.loads((out_dir / "nano33" / "bench.json").read_text())
    own = {"emulator": None, "port": "/dev/ttyUSB0", "unit": "cycles", "counts": 160_000}
    write_json(out_dir / "nano33" / "bench-port.json", bench | own)
    told = tiles(out_dir)[1]
    assert told == "2.5 ms an inference, measured on nano33 (board) 160,000 cycles at 64 MHz"


def test_without_counts_the_tile_says_what_gives_an_estimate(tmp_path: Path) -> None:
    write_model(tmp_path / "motion", "motion", {"seed": 1})
    told = next(tile for tile in tiles(tmp_path / "motion") if "on nano33, estimate" in tile)
    assert "make bench MODEL=motion BOARD=qemu_m4 counts its instructions" in told


@pytest.mark.parametrize(
    ("arena", "states"),
    [
        (2_400, ("not built on nano33 at least", "not built on esp32")),
        (200 * 1024, ("not built on nano33 at least", "does not fit on esp32")),
        (300 * 1024, ("does not fit on nano33 at least", "does not fit on esp32")),
    ],
)
def test_what_cannot_fit_is_told_before_it_is_built(
    tmp_path: Path, arena: int, states: tuple[str, ...]
) -> None:
    write_model(tmp_path / "big", "big", {"seed": 1})
    for path in (tmp_path / "big" / "gen").glob("*/manifest.json"):
        content = json.loads(path.read_text())
        write_json(path, content | {"arena_bytes": arena, "arena_lower_bound": arena})
    told = [
        tile for tile in tiles(tmp_path / "big") if " on nano33 " in tile or " on esp32 " in tile
    ]
    assert all(any(tile.startswith(state) for tile in told) for state in states)
    section = write_report(tmp_path / "big").read_text("utf-8").split("put it on my board</h2>")[1]
    assert re.findall(r'pill ([\w-]+)">', section)[:2] == [
        state.split(" on ")[0].replace(" ", "-") for state in states
    ]


def test_what_a_board_needs_at_least_is_that_of_its_kernels(tmp_path: Path) -> None:
    write_model(tmp_path / "m", "m", {"seed": 1})
    plan = json.loads(next((tmp_path / "m" / "gen").glob("*/manifest.json")).read_text())
    sizes = {"ref": 30, "armv7em": 20, "xtensa_mac16": 10}
    for kernels, kilobytes in sizes.items():
        path = tmp_path / "m" / "gen" / kernels / "manifest.json"
        path.parent.mkdir(exist_ok=True)
        size = kilobytes << 10
        write_json(path, plan | {"arena_bytes": size, "arena_lower_bound": size})
    found = {
        tile.split(" on ")[1].split()[0]: re.findall(r"at least (\d+)\.0 KiB of \S+ KiB RAM", tile)
        for tile in tiles(tmp_path / "m")
        if tile.startswith("not built on ")
    }
    assert found == {"nano33": ["20"], "esp32": ["10"], "esp32c3": ["30"]}


def test_a_model_made_elsewhere_has_the_accuracy_of_labelled_inputs(tmp_path: Path) -> None:
    write_model(tmp_path / "ic", "ic", {}, labels=())
    write_board(tmp_path / "ic", "qemu_m4", cases=20, metrics=None)
    assert tiles(tmp_path / "ic")[0] == "95.0 % accuracy, int8 on qemu_m4 20 inputs with labels"
    write_board(tmp_path / "ic", "qemu_m4", cases=20, metrics=None, accuracy=None)
    assert tiles(tmp_path / "ic")[0].startswith(
        "– accuracy not known: make parity MODEL=ic INPUTS="
    )


# --- how to put it on a board ------------------------------------------------------------------


def section(page: Page) -> str:
    """The text of the section on boards."""
    return page.text.split("How to put it on my board")[-1].split("Against the float network")[0]


def test_how_to_put_it_on_a_board_is_in_the_words_of_who_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_dir = write_run(tmp_path / "motion")
    told = section(read_page(out_dir))
    for expected in (
        "make flash RECIPE=motion BOARD=nano33 PORT=/dev/ttyACM0 builds",
        "make parity RECIPE=motion BOARD=nano33 PORT=/dev/ttyACM0 ",
        "make whois BOARD=nano33 PORT=/dev/ttyACM0 asks",
        "Or bare metal. Without Arduino's framework and its packages: make flash RECIPE=motion "
        "BOARD=nano33 FRAMEWORK=bare PORT=/dev/ttyACM0 LINK_PORT=/dev/ttyUSB0",
        "The commands above then take PORT=/dev/ttyUSB0, the adapter's port",
        "make flash RECIPE=motion BOARD=esp32c3 PORT=/dev/ttyUSB0 builds",
        "make flash RECIPE=motion BOARD=esp32 PORT=/dev/ttyUSB0 builds",
        "it runs model motion 5f5f5f5f5f5f5f5f, self-test PASS",
        "3.3 V USB-serial adapter",
        "upload and link share the board's connector",
        "No real nano33 has run this firmware here",
        "No real esp32 has run this firmware here",
        "a double of the boot loader only",
    ):
        assert expected in told, expected
    monkeypatch.delenv(GOALS)
    told = section(read_page(out_dir))
    assert (
        "tinyproof flash --recipe motion --board nano33 --framework bare --port /dev/ttyACM0 "
        "--link-port /dev/ttyUSB0"
    ) in told
    assert told.count("Or bare metal") == 2  # the ESP32-C3 has no other way
    assert "tinyproof whois --board esp32 --port /dev/ttyUSB0 asks" in told
    assert "make " not in told


def test_a_real_board_that_ran_it_is_told(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    found = json.loads((out_dir / "nano33" / "parity.json").read_text())
    own = {"emulator": None, "port": "/dev/ttyUSB0"}
    write_json(out_dir / "nano33" / "parity-port.json", found | own)
    told = section(read_page(out_dir))
    assert "Run on hardware. nano33 (board), 60 of 60 cases equal." in told
    assert "No real nano33" not in told and "No real esp32" in told


def test_names_of_models_are_quoted_and_escaped_in_commands(tmp_path: Path) -> None:
    out_dir = tmp_path / "a b<img>"
    write_model(out_dir, EVIL, {}, labels=())
    page = read_page(out_dir)
    assert "make flash MODEL='a b<img>' BOARD=esp32 PORT=" in page.text
    assert f"it runs model {EVIL}" in page.text
    assert not [tag for tag, _ in page.tags if tag in {"script", "img"}]


# --- on a phone --------------------------------------------------------------------------------


def evil_run(folder: Path) -> Path:
    """A whole run of classes with long and hostile names."""
    labels = (EVIL, *LABELS[1:])
    write_training(folder, title=EVIL, labels=labels)
    write_model(folder, EVIL, {EVIL: [EVIL]}, labels)
    for board in ("qemu_m4", "qemu_xtensa", "nano33", "esp32"):
        write_board(folder, board)
    return write_report(folder)


def data_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page of good data, whose class has a long and hostile name."""
    recordings = [dataclasses.replace(r, name=EVIL) for r in good_dataset().recordings]
    recordings[20] = dataclasses.replace(recordings[20], values=recordings[6].values * 1.01)
    dataset = dataclasses.replace(
        good_dataset(), recordings=tuple(recordings), labels=(EVIL, "b", "c")
    )
    monkeypatch.setattr(check_stage, "load_dataset", lambda *_: dataset)
    folder.mkdir()
    check_stage.check(RECIPE, folder)
    return folder / "data.html"


def test_every_table_scrolls_by_keyboard_and_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (evil_run(tmp_path / "evil"), data_page(tmp_path / "data", monkeypatch)):
        text = path.read_text("utf-8")
        places = re.findall(r"<div (class=\"scroll[^>]*)>\s*<(\w+)", text)
        assert len([tag for _, tag in places if tag == "table"]) == text.count("<table") > 0
        for attributes, _ in places:
            assert re.fullmatch(
                r'class="scroll( tall)?" role="(region|img)" aria-label="[^"]+" tabindex="0"',
                attributes,
            ), attributes


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_phone_scrolls_tables_visibly_and_never_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = (
        write_report(write_run(tmp_path / "motion")),
        evil_run(tmp_path / "evil"),
        data_page(tmp_path / "data", monkeypatch),
    )
    for path in pages:
        found = measure(path)
        assert found["inner"] == PHONE
        assert found["page"] <= PHONE, path
        cut = [place for place in found["places"] if place["scroll"] > place["client"]]
        assert cut, "nothing is wide: this proves nothing"
        for place in cut:
            assert place["bar"] >= 8, place  # a bar that is always there
            assert "gradient" in place["shade"], place
            assert place["column"] in ("sticky", "none"), place
            assert place["kept"] < 0.7 * place["client"], place  # the rest has room beside it


MEASURE = """<script>
document.querySelectorAll("details").forEach(d => d.open = true);
const places = [...document.querySelectorAll(".scroll")].map(e => {
  const first = e.querySelector("tbody tr > :first-child");
  return {name: e.getAttribute("aria-label").slice(0, 40), scroll: e.scrollWidth,
    client: e.clientWidth, bar: e.offsetHeight - e.clientHeight,
    shade: getComputedStyle(e).backgroundImage,
    column: first ? getComputedStyle(first).position : "none",
    kept: first ? first.offsetWidth : 0};
});
const found = {inner: innerWidth, page: document.documentElement.scrollWidth, places};
parent.document.body.innerText = "found=" + encodeURIComponent(JSON.stringify(found)) + "=";
</script>"""


def measure(path: Path) -> Any:
    """Widths of the page and of its scrolling places, in a frame as wide as a phone.

    A window of Chromium is never that narrow.
    """
    inner = html.escape(path.read_text("utf-8").replace("</body>", f"{MEASURE}</body>"))
    outer = path.with_name("measured.html")
    frame = f"<iframe style='border:0;width:{PHONE}px;height:900px' srcdoc=\"{inner}\"></iframe>"
    outer.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}</body>", "utf-8")
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", f"--user-data-dir={path.parent}/chromium"]
    options += ["--virtual-time-budget=20000", "--dump-dom"]  # not before the frame has told
    done = subprocess.run(
        [CHROMIUM, *options, outer.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    match = re.search("found=(.*?)=", done.stdout)
    assert match, done.stderr
    return json.loads(unquote(match[1]))
