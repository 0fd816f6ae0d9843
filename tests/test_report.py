"""The report and the closing table, from result files made by hand."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from host_tools.errors import UsageError
from host_tools.report.collect import INCOMPLETE, collect, float_words
from host_tools.report.summary import print_summary
from host_tools.report.write import write_report
from model.files import write_json
from tests.result_files import (
    LABELS,
    features,
    float_comparison,
    parity,
    write_board,
    write_drift,
    write_model,
    write_run,
    write_training,
)


class Page(HTMLParser):
    """Collects tags and the visible text, and checks that tags are balanced."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read_page(out_dir: Path) -> Page:
    """Write the report and parse it."""
    return Page(write_report(out_dir).read_text("utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """The folder and the page of a whole run; tests only read them."""
    out_dir = write_run(tmp_path_factory.mktemp("whole") / "motion")
    return out_dir, read_page(out_dir)


def test_whole_run(whole: tuple[Path, Page]) -> None:
    _, page = whole
    assert "Every output byte is equal on esp32, nano33, qemu_m4 and qemu_xtensa" in page.text
    for expected in (
        "680 inferences compared with tflite_micro 0.dev1",
        "no real board was connected",
        "needs hardware",
        "nano33 (labwired_nrf52840): 60 of 60 cases equal",
        "56 of 60 windows right, on labwired_nrf52840",
        "emulator instructions",
        "Host milliseconds",
        "Estimates, not measurements",
        "nRF52840",
        "Cortex-M4 Technical Reference Manual",
        "loads, stores and branches were not measured",
        "random forest",
        "The test groups of the recipe are in no fold.",
        "train.epochs",
        "99.61 %",
    ):
        assert expected in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) == 6


def test_what_was_done_to_the_data_is_told(whole: tuple[Path, Page]) -> None:
    folder, _ = whole
    text = " ".join((folder / "report.html").read_text("utf-8").split())
    assert "two splits. Resampled from 100 Hz to 50 Hz by a polyphase filter." in text
    assert (
        "50 % of the training windows had background noise mixed in, 5 to 25 dB below the signal, "
        "from 6 recordings (400.5 s, SHA-256 <code>cdcdcdcdcdcd</code>) that no held-out group has."
    ) in text
    assert (
        "33 % of the training windows are generated speech, 4,000 words in 400 made-up voices by "
        "eSpeak NG 1.51 (SHA-256 <code>efefefefefef</code>); no validation or test window is."
    ) in text


def test_the_page_lists_its_sections(whole: tuple[Path, Page]) -> None:
    tags = whole[1].tags
    links = [attrs["href"] for tag, attrs in tags if tag == "a"]
    headings = [attrs.get("id") for tag, attrs in tags if tag == "h2"]
    assert len(headings) > 5
    assert links == [f"#{heading}" for heading in headings]


def test_what_is_missing_comes_with_what_to_type(whole: tuple[Path, Page]) -> None:
    text = whole[1].text
    for command in (
        "make classical RECIPE=motion",
        "make drift RECIPE=motion BOARD=qemu_m4",
        "make flash RECIPE=motion BOARD=nano33 PORT=/dev/ttyACM0 ",
        "make flash RECIPE=motion BOARD=nano33 FRAMEWORK=bare PORT=/dev/ttyACM0 "
        "LINK_PORT=/dev/ttyUSB0 ",
        "make parity RECIPE=motion BOARD=nano33 PORT=/dev/ttyACM0 ",
        "make flash RECIPE=motion BOARD=esp32 PORT=/dev/ttyUSB0 ",
        "make whois BOARD=esp32 PORT=/dev/ttyUSB0 ",
    ):
        assert command in text, command


def test_results_of_other_settings_are_left_out_and_told(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    folds = json.loads((out_dir / "cross_validation.json").read_text("utf-8"))
    write_json(out_dir / "cross_validation.json", folds | {"settings": {"train": {"seed": 8}}})
    text = read_page(out_dir).text
    assert "Cross-validation of these settings has not been run" in text
    assert "Cross-validation by group" not in text


def test_an_emulator_with_other_kernels_than_the_board_is_told(whole: tuple[Path, Page]) -> None:
    assert "nano33: its emulator runs the ref kernels" in whole[1].text
    assert "esp32: its emulator runs the xtensa kernels" in whole[1].text
    assert "qemu_m4: its emulator runs" not in whole[1].text


def test_folded_channels_are_told(whole: tuple[Path, Page]) -> None:
    text = whole[1].text
    assert "3 channels of the model cannot change any of its outputs" in text
    assert "4,321 of 308,545 MACs" in text


def test_page_needs_no_other_file_and_is_small(whole: tuple[Path, Page]) -> None:
    out_dir, page = whole
    text = (out_dir / "report.html").read_text("utf-8")
    assert len(text.encode()) < 1_000_000
    assert "url(http" not in text and "@import" not in text
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "img", "iframe"}]
    references = [v for _, attrs in page.tags for k, v in attrs.items() if k in {"href", "src"}]
    assert all(v is not None and v.startswith("#") for v in references)


def test_every_plot_has_its_words(whole: tuple[Path, Page]) -> None:
    _, page = whole
    images = [attrs for _, attrs in page.tags if attrs.get("role") == "img"]
    assert len(images) == 6 + 2 * 4
    assert all(attrs["aria-label"] for attrs in images)


def test_same_files_same_page(whole: tuple[Path, Page]) -> None:
    out_dir, _ = whole
    first = (out_dir / "report.html").read_bytes(), (out_dir / "report.json").read_bytes()
    second = write_report(out_dir).read_bytes(), (out_dir / "report.json").read_bytes()
    assert first == second


def test_json_holds_the_files_unchanged(whole: tuple[Path, Page]) -> None:
    out_dir, _ = whole
    report = json.loads((out_dir / "report.json").read_text("utf-8"))
    for part in ("dataset", "train", "cross_validation", "quantize"):
        assert report[part] == json.loads((out_dir / f"{part}.json").read_text("utf-8"))
    for part in ("size", "parity", "bench"):
        stored = json.loads((out_dir / "nano33" / f"{part}.json").read_text("utf-8"))
        assert report["boards"]["nano33"][part] == stored
    assert report["verdict"]["state"] == "equal"
    assert [rung["rung"] for rung in report["ladder"]] == [1, 2, 3, 4, 5, 6, 7]
    assert report["golden_cases"] == 280


def test_names_are_text(tmp_path: Path) -> None:
    evil = (
        "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> $\\frac{1}{0}$ {{ 7*7 }} --><b>"
    )
    labels = (evil, *LABELS[1:])
    out_dir = tmp_path / "evil"
    write_training(out_dir, title=evil, labels=labels)
    write_model(out_dir, evil, {evil: [evil]}, labels)
    write_board(out_dir, "<b>board</b>")
    page = read_page(out_dir)
    assert not [tag for tag, _ in page.tags if tag in {"script", "img", "b"}]
    assert not [k for _, attrs in page.tags for k in attrs if k.startswith("on")]
    assert "<script>alert(1)</script>" in page.text  # visible, as text
    assert "{{ 7*7 }}" in page.text


def test_model_made_elsewhere(tmp_path: Path) -> None:
    out_dir = tmp_path / "ic"
    write_model(out_dir, "ic", {}, labels=())
    write_board(out_dir, "nano33", cases=20, metrics=None, accuracy=None)
    page = read_page(out_dir)
    assert "The model was made elsewhere" in page.text
    assert "Every output byte is equal on nano33" in page.text
    assert "balanced accuracy" not in page.text
    assert "MODEL=ic" in page.text
    assert "FLOAT=<.tflite" not in page.text
    write_board(out_dir, "nano33", float_comparison=None)
    assert "FLOAT=<.tflite, .keras or .h5>" in read_page(out_dir).text


def test_difference_is_the_headline(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    difference = {"case": 3, "tensor": 0, "index": 4, "expected": -12, "got": -11}
    write_json(
        out_dir / "esp32" / "parity.json", parity("esp32", equal=279, first_difference=difference)
    )
    page = read_page(out_dir)
    assert "Not equal on esp32" in page.text
    assert (
        "279 of 280 cases equal; first difference in case 3, output tensor 0, index 4: "
        "expected -12, got -11." in page.text
    )
    assert collect(out_dir)["ladder"][5]["state"] == "differs"


@pytest.mark.parametrize(
    ("changes", "state", "told"),
    [
        ({"selftest": {"cases": 2, "failures": 1}}, "differs", "self-test fails in 1 of 2"),
        ({"cases": 0, "equal": 0}, "differs", "0 of 0 cases equal"),
        ({"model_sha256": "00" * 32}, "stale", "belongs to another model"),
        ({"run_id": "ffffffffffff"}, "stale", "belongs to another model"),
    ],
)
def test_what_does_not_count_as_equal(
    tmp_path: Path, changes: dict[str, Any], state: str, told: str
) -> None:
    out_dir = tmp_path / "motion"
    write_model(out_dir, "motion", {"seed": 1})
    write_board(out_dir, "nano33", **({"cases": 60} | changes))
    content = collect(out_dir)
    assert content["boards"]["nano33"]["state"] == state
    assert content["verdict"]["state"] != "equal"
    assert told in read_page(out_dir).text


def test_real_board_proves_the_last_rung(tmp_path: Path) -> None:
    out_dir = tmp_path / "motion"
    write_model(out_dir, "motion", {"seed": 1})
    write_board(out_dir, "nano33", emulator=None, port="/dev/ttyACM0")
    content = collect(out_dir)
    assert [rung["state"] for rung in content["ladder"][4:]] == [
        "not run",
        "not run",
        "proven here",
    ]
    assert "on the real nano33" in content["verdict"]["details"][1]


def test_many_classes_are_told_as_mistakes(tmp_path: Path) -> None:
    labels = tuple(f"class {i}" for i in range(60))
    write_training(tmp_path / "wide", title="wide", labels=labels)
    write_model(tmp_path / "wide", "wide", {"seed": 1}, labels)
    assert "60 classes; the most frequent mistakes" in read_page(tmp_path / "wide").text


def test_a_part_alone_is_told_as_a_part(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    for path in out_dir.glob("*/parity.json"):
        parity = json.loads(path.read_text()) | {"missing": 5, "partial": "interrupted"}
        parity["equal"] = parity["cases"] - 5
        path.write_text(json.dumps(parity))
    verdict = collect(out_dir)["verdict"]
    assert verdict["headline"].startswith("No proof yet: parity is incomplete on ")
    assert verdict["state"] == INCOMPLETE
    assert any("have no answer: interrupted, which proves nothing" in d for d in verdict["details"])


def test_only_data(tmp_path: Path) -> None:
    write_training(tmp_path / "motion", title="motion")
    for name in ("train", "cross_validation", "quantize"):
        (tmp_path / "motion" / f"{name}.json").unlink()
    page = read_page(tmp_path / "motion")
    for expected in (
        "Parity has not been checked",
        "No training is recorded",
        "ax: 17 g, above 16",
    ):
        assert expected in page.text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("train.json", "{", "not a readable JSON file"),
        ("train.json", "[]", "expected a JSON object"),
        ("train.json", '{"loss": NaN}', "NaN"),
        ("train.json", '{"seed": 1}', "another shape"),
        ("nano33/parity.json", '{"cases": 1}', "another shape"),
        ("nano33/size.json", '{"flash_bytes": "many"}', "another shape"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, text: str, told: str) -> None:
    out_dir = write_run(tmp_path / "motion")
    (out_dir / "report.html").write_text("the one before")
    (out_dir / name).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=told):
        write_report(out_dir)
    assert (out_dir / "report.html").read_text() == "the one before"


def test_drift_is_told_when_it_is_of_this_model(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    assert ">Drift</h2>" not in write_report(out_dir).read_text("utf-8")
    write_drift(out_dir)
    text = write_report(out_dir).read_text("utf-8")
    expected_texts = (
        ">Drift</h2>",
        "rotation 90 z",
        "0.0123",
        "asked for 5",
        "measured 8.6",
        "at most 43",
    )
    for expected in expected_texts:
        assert expected in text, expected
    write_drift(out_dir, sha256="00" * 32)
    assert ">Drift</h2>" not in write_report(out_dir).read_text("utf-8")


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to report"):
        write_report(tmp_path / "none")


def summary(out_dir: Path) -> str:
    """What print_summary writes where there is no terminal."""
    stream = io.StringIO()
    print_summary(out_dir, stream)
    return stream.getvalue()


def test_summary(whole: tuple[Path, Page]) -> None:
    out_dir, _ = whole
    text = summary(out_dir)
    assert max(len(line) for line in text.splitlines() if "report.html" not in line) <= 100
    assert "\x1b" not in text
    row = next(line for line in text.splitlines() if line.split()[:1] == ["nano33"])
    for expected in ("labwired_nrf52840", "60/60", "95.0 %", "1,414,508", "93.3 %"):
        assert expected in row.replace("…", "?"), row
    assert re.search(r"float 9\d\.\d %.*int8 9\d\.\d %.*random forest 8\d\.\d %", text)
    assert str(out_dir / "report.html") in text


def test_decisions_are_of_the_first_output() -> None:
    """A model may have several outputs, and the noise that is told is not always of the first."""
    one: dict[str, Any] = {"sqnr_db": 40.0, "mean": 0.1}
    found: dict[str, Any] = {"equal_decisions": 3, "cases": 4, "golden_cases": 4, "outputs": [one],
                             "normal_outputs": None, "targets": None}  # fmt: skip
    assert float_words(found).startswith("75.0 % of decisions equal, ")
    found["outputs"] = [one, one]
    assert float_words(found).startswith("75.0 % of decisions of output 0 equal, ")


def test_the_float_network_is_told_first(whole: tuple[Path, Page]) -> None:
    text = whole[1].text
    for expected in (
        "qemu_m4 decides 277 of 280 cases (98.9 %) as the trained float network before",
        "nano33: 95.0 % of decisions equal, SQNR 34.1 dB in 60 cases",
        "60 of 280 57, 95.0",
        "at least 95.0 % of the decisions",
        "71 PEN PEN 0.471 ABD 0.469",
    ):
        assert expected in text.replace("\u00a0", " "), expected


def test_too_far_from_the_float_network_is_the_headline(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    reasons = ["output 0 is too far from the float network's: SQNR 3.0 dB"]
    far = float_comparison(failures=reasons, flips=[], equal_decisions=280)
    write_json(out_dir / "esp32" / "parity.json", parity("esp32", float_comparison=far))
    content = collect(out_dir)
    assert content["verdict"]["state"] == "differs"
    assert content["verdict"]["details"][0] == f"esp32: {reasons[0]}."
    assert content["ladder"][1]["state"] == "differs"
    text = read_page(out_dir).text
    assert "Equal to int8, but too far from the float network on esp32" in text
    assert "esp32 100.0 %" in re.sub(r" +", " ", summary(out_dir)).replace(
        "labwired_esp32 280/280 ", ""
    )


def test_a_comparison_of_another_model_does_not_count(tmp_path: Path) -> None:
    out_dir = tmp_path / "motion"
    write_model(out_dir, "motion", {"seed": 1})
    write_board(out_dir, "nano33", model_sha256="00" * 32)
    assert "float network before" not in read_page(out_dir).text


def test_a_float_network_of_somebody_else(tmp_path: Path) -> None:
    out_dir = tmp_path / "ic"
    write_model(out_dir, "ic", {}, labels=())
    found = float_comparison(network="<b>.keras (Keras 3)", equal_decisions=None, flips=[])
    write_board(out_dir, "qemu_m4", float_comparison=found | {"bounds": None})
    page = read_page(out_dir)
    assert (
        "qemu_m4: outputs differ by 0.0029 on average from <b>.keras (Keras 3), on random"
        in page.text
    )
    assert "INPUTS=<.npz> gives real ones" in page.text
    assert "none: random inputs" in page.text
    assert collect(out_dir)["ladder"][0]["evidence"] == ["<b>.keras (Keras 3)"]
    assert "34.1 dB" in summary(out_dir)


def test_summary_shows_a_difference(tmp_path: Path) -> None:
    out_dir = tmp_path / "[red]motion"
    write_model(out_dir, "motion", {"seed": 1})
    difference = {"case": 3, "tensor": 0, "index": 4, "expected": -12, "got": -11}
    write_board(out_dir, "[red]b", equal=279, first_difference=difference, accuracy=None)
    text = summary(out_dir)
    assert "[red]b" in text
    assert "Not equal on [red]b" in text
    assert "expected -12, got -11" in re.sub(r"\s+", " ", text)


def test_front_ends_have_a_section_where_they_were_compared(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    assert "Front end" not in read_page(out_dir).text
    write_json(out_dir / "qemu_m4" / "features.json", features("qemu_m4"))
    write_json(out_dir / "nano33" / "features.json", features("nano33", run_id="another"))
    text = read_page(out_dir).text
    section = text[text.rindex(" Front end ") : text.rindex(" Memory ")]
    for expected in ("logmel", "40 of 40", "19 of 19", "0 LSB", "spectrum", "123,457", "320"):
        assert expected in section, expected
    assert "nano33" not in section
    place = {"where": "stream input 7", "stage": "spectrum"}
    broken = features("qemu_m4", stream_equal=18, first_difference=place)
    write_json(out_dir / "qemu_m4" / "features.json", broken)
    page = read_page(out_dir).text
    assert "The front end differs on qemu_m4" in page
    assert "qemu_m4: features differ first in stream input 7, spectrum." in page
    assert "18 of 19" in page
