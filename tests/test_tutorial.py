"""The tutorial: its commands do what its text says, and docs/TUTORIAL.md has its words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.documents import ROOT, links, wrong_commands
from tests.tutorial import PAGE, PICTURES, STEP, TEXT, fits, plain, render, run, shown, steps

STEPS = steps()
# The commands before `tinyproof demo` take seconds.
QUICK = next(i for i, step in enumerate(STEPS) if step.commands == "tinyproof demo\n")


def test_its_commands_exist() -> None:
    page = render([""] * len(STEPS))
    assert page.count("$ tinyproof") >= 6
    assert not list(wrong_commands(page))


def test_a_page_with_other_words_or_commands_is_noticed() -> None:
    page = render([f"line {i}\nand another" for i in range(len(STEPS))])
    assert fits(page) and fits(render([""] * len(STEPS)))
    prose = STEP.split(TEXT.read_text("utf-8"))[0].splitlines()[-1] or "Recordings"
    for old, new in (
        (prose, prose + " More."),
        ("$ tinyproof check\n", "$ tinyproof chek\n"),
        ("$ tinyproof check\n", ""),
        ("## 4. ", "## 5. "),
    ):
        assert old in page
        assert not fits(page.replace(old, new, 1)), old
    assert not fits(page + "More.\n")


def test_a_long_output_is_cut_in_the_middle() -> None:
    step = next(s for s in STEPS if s.last and s.first)
    output = [str(i) for i in range(200)]
    lines = shown(step, "\n".join(output)).splitlines()
    assert lines[2 : 2 + step.first] == output[: step.first]
    assert lines[2 + step.first] == "..."
    assert lines[3 + step.first : -1] == output[-step.last :]


def test_nothing_of_this_computer_is_shown() -> None:
    folder = Path("/tmp/tutorial-x1")
    text = f"\x1b[1m{folder}/sandbox\x1b[0m: a project  \n\n"
    assert plain(text, folder) == "~/sandbox: a project"


@pytest.mark.skipif(not PAGE.exists(), reason="`python -m tests.tutorial --pictures` writes it")
def test_the_page_is_what_was_run() -> None:
    page = PAGE.read_text("utf-8")
    assert fits(page), "run python -m tests.tutorial --pictures"
    for name, _ in links(page):
        assert not name or (PAGE.parent / name).exists(), name
    for folder in (ROOT, Path.home()):
        assert f"{folder}/" not in page


def test_links_lead_to_pages_or_pictures() -> None:
    named = {name for name, _ in links(render([""] * len(STEPS)))}
    assert set(PICTURES) < named
    for name in named - set(PICTURES):
        assert (PAGE.parent / name).exists(), name


def _to_the_check(folder: Path) -> None:
    """Everything before the training, and what the text says of it."""
    outputs = [run(step, folder) for step in STEPS[:QUICK]]
    made, listed, recipe, checked = outputs
    assert made.splitlines()[1:] == [
        "circle.ann.1.csv", "circle.ann.2.csv", "circle.bob.1.csv", "circle.bob.2.csv",
        "ms,ax,ay,az", *made.splitlines()[-2:],
    ]  # fmt: skip
    assert listed.splitlines()[1:] == ["README.md", "gestures.lock", "gestures.toml"]
    first = shown(STEPS[2], recipe)
    for key in ("sample_rate_hz", "labels", "val_groups", "test_groups", "folder", "pattern"):
        assert re.search(rf"^{key} = .+ # .+", first, re.MULTILINE), key
    assert "sha256" in (folder / "gestures/gestures.lock").read_text("utf-8")
    assert not re.search(r"\bmake \w", "".join(outputs))  # whoever reads it has typed tinyproof
    page = folder / PICTURES["tutorial_data.png"]
    assert page.exists()
    assert checked.splitlines()[-1].endswith(page.relative_to(folder / "gestures").as_posix())


def test_the_way_to_a_project_and_its_check(tmp_path: Path) -> None:
    _to_the_check(tmp_path)


@pytest.mark.slow
def test_the_whole_way_to_a_board(tmp_path: Path) -> None:
    _to_the_check(tmp_path)
    demo, change, parity = (run(step, tmp_path) for step in STEPS[QUICK:])
    report = tmp_path / PICTURES["tutorial_report.png"]
    assert report.exists()
    assert not re.search(r"\bmake \w", demo + change + parity)
    found = json.loads(report.with_suffix(".json").read_text("utf-8"))
    assert set(found["boards"]) >= {"qemu_m4", "qemu_xtensa"}, list(found)
    assert "train" in change and "check" not in change, change
    assert "equal" in shown(STEPS[-1], parity), parity
    page = PAGE.read_text("utf-8")  # figures change with kernels, what runs where is to be told
    for line in demo.splitlines():
        assert "its emulator runs" not in line or line in page, line
