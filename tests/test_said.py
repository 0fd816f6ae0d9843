"""What a board says in lines of text, as values."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.link import said
from host_tools.link.said import (
    Banner,
    ModelLine,
    Prediction,
    read_line,
    share,
)
from tests.native_app import compile_app, start_device

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=120)
NAME = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("tinyproof 0.1.0 on qemu_m4", Banner(version="0.1.0", board="qemu_m4")),
        (f"model     a b, sha256 {SHA}", ModelLine(name="a b", sha256=SHA)),
    ],
)
def test_lines_of_info(line: str, value: said.Said) -> None:
    assert read_line(line) == value


def test_a_class_with_its_mean_decision_and_cost() -> None:
    line = (
        "class 1 IR, scores -128 127 3; mean of 4: class 1 IR; decided: class 1 IR; 299637 counts"
    )
    found = read_line(line)
    assert found == Prediction(
        answer="IR",
        number=1,
        scores=(-128, 127, 3),
        mean_of=4,
        mean="IR",
        decided="IR",
        counts=299637,
    )


def test_what_older_firmware_and_models_without_names_say() -> None:
    found = read_line("class 2, scores 1 2 3")
    assert isinstance(found, Prediction)
    assert (found.answer, found.number, found.mean, found.counts) == ("class 2", 2, None, None)
    assert found.decided is None


def test_labels_and_numbers() -> None:
    found = read_line("labels hum+fan, scores 5 -7 100; mean of 2: labels none; 12 counts")
    assert isinstance(found, Prediction)
    assert (found.answer, found.number, found.mean) == ("hum+fan", None, "none")
    found = read_line(
        "freq -12.5 Hz, level 3 , a b 0.001 um/s2; mean of 1: freq -12.5 Hz; 7 counts"
    )
    assert isinstance(found, Prediction)
    assert found.scores == ()
    assert found.answer == "freq -12.5 Hz, level 3 , a b 0.001 um/s2"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ok",
        "freq high Hz; 5 counts",
        "help      this list",
        "counts per inference, 10 runs: min 5  mean 5",
        "  step 0: x",
        "class IR, scores 1 2",
        "class 1 IR, scores",
        "class 1 IR, scores 1 x",
        "arena     800 of bytes used",
        "model     a, sha256 0123",
        "; mean of 4: ",
        "; 5 counts",
    ],
)
def test_other_lines_are_nobodys(line: str) -> None:
    assert read_line(line) is None


@given(PRINTABLE)
def test_any_text_is_read(line: str) -> None:
    read_line(line)


@given(st.lists(NAME, min_size=1, max_size=9), st.data())
def test_classes_of_any_names(names: list[str], data: st.DataObject) -> None:
    scores = data.draw(
        st.lists(st.integers(-128, 127), min_size=len(names), max_size=len(names)), "scores"
    )
    best = int(np.argmax(scores))
    found = read_line(f"class {best} {names[best]}, scores {' '.join(map(str, scores))}; 9 counts")
    assert isinstance(found, Prediction)
    assert (found.number, found.answer) == (best, names[best])
    assert found.scores == tuple(scores)


@pytest.mark.parametrize("piece", [", scores 1", "; mean of 1: ", " 1 a, ", "class 1 ", " 1", "9"])
def test_a_long_line_takes_no_time(piece: str) -> None:
    """The link's decoder gives lines of up to 1041 bytes; regular expressions can be slow."""
    for head in ("", "class 1 ", "labels "):
        begun = time.process_time()
        read_line((head + piece * 1041)[:1041] + "x")
        assert time.process_time() - begun < 0.1


def test_shares_stay_between_0_and_1() -> None:
    assert [share(-128), share(0), share(127)] == [0.0, 0.5, 255 / 256]
    assert share(127, scale=1.0, zero_point=-128) == 1.0
    assert share(-128, scale=0.1, zero_point=0) == 0.0
    assert math.isclose(share(100, 1 / 255), 228 / 255)


def test_a_board_says_what_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The words of the firmware, not of this file."""
    with start_device(compile_app(tmp_path_factory.mktemp("app"))) as device:
        found = [read_line(line) for line in device.command("info")]
        info = device.info
    assert [value for value in found if value is not None] == [
        Banner(version=info.version, board="native"),
        ModelLine(name=info.model_name, sha256=info.model_sha256),
    ]
