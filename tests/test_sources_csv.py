"""CSV: what is good is read exactly, what is wrong is named with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.datasets import load_dataset
from model.errors import ConfigError, DataError
from model.recipe import ResampleConfig
from tests.sources import HEADER, assert_complete, csv_config, csv_text, write_csv


def test_csv_columns_labels_and_groups(tmp_path: Path) -> None:
    write_csv(tmp_path)
    dataset = load_dataset(csv_config(tmp_path))
    assert dataset.group_names == ("ann", "bob")
    assert [(r.label, r.group) for r in dataset.recordings] == [(1, 0), (0, 1)]
    assert dataset.recordings[1].values.tolist()[:2] == [[0, 9], [-1, 9.25]]
    assert dataset.sample_rate_hz == 50.0
    assert dataset.channels == ("ay", "ax")


def test_csv_labels_from_a_column_split_a_file(tmp_path: Path) -> None:
    text = "t_ms,ax,ay,what\n" + "".join(
        f"{20 * i},1,2,{'rest' if i < 3 else 'wave'}\n" for i in range(7)
    )
    (tmp_path / "ann.csv").write_text(text + "\n")
    config = csv_config(tmp_path, pattern=r"(?P<group>\w+)\.csv", label_column="what")
    assert [(r.label, len(r.values)) for r in load_dataset(config).recordings] == [(1, 3), (0, 4)]


def test_who_wrote_a_file_with_a_label_column_is_in_one_split(tmp_path: Path) -> None:
    rows = (f"{20 * i},{i},2,{'rest' if i % 6 < 3 else 'wave'}\n" for i in range(24))
    text = "t_ms,ax,ay,what\n" + "".join(rows)
    people = ("ann", "bob", "cy")
    for number, who in enumerate(people):
        (tmp_path / f"{who}.csv").write_text(text.replace(",2,", f",{number},"))
        config = csv_config(tmp_path, pattern=r".*\.csv", label_column="what")
        names = load_dataset(config).group_names
        assert len(names or ()) == (8 * (number + 1) if number < 2 else 3)
    assert names == people


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (csv_text(header="t_ms,ax,az"), r"line 1: expected one column 'ay', got 0 among .*correct"),
        (csv_text(header="t_ms,ay,ay"), "line 1: expected one column 'ay', got 2"),
        (csv_text().replace("40,", "40,x"), "line 4, column ax: expected a number, got 'x0.5'"),
        (csv_text().replace("40,0.5", "40,nan"), "line 4, column ax: expected a number, got 'nan'"),
        (csv_text().replace("40,0.5", "40,1_0"), "line 4, column ax: expected a number, got '1_0'"),
        (csv_text().replace("40,0.5", "40,1e39"), "line 4, column ax: expected a number"),
        (csv_text()[:-4], r"line 6: expected 3 cells as in the first line, got 2.*truncated"),
        (
            csv_text().replace("40,", "10,"),
            r"line 4, column t_ms: expected a time after .*, got one 0.01 s earlier; sort",
        ),
        (csv_text().replace("80,", "180,"), r"line 6, .*got 0.12 s after .*samples are missing"),
        (HEADER + "\n0,1,2\n10,2,3\n20,3,4\n", "lines? 2 to 4, .*expected 50 Hz, got 100 Hz"),
        (HEADER + "\n0,1,2\n40,2,3\n80,3,4\n", "expected 50 Hz, got 25 Hz"),
        (HEADER + "\n", "line 2: expected rows under the header, got none; remove"),
        ("", "line 1: expected a header or numbers, got an empty file; remove"),
        (csv_text() + '"', "line 7: expected CSV, got "),
    ],
)
def test_bad_csv_says_what_and_where(text: str, words: str, tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=rf"wave_bob\.csv.*{words}") as error:
        load_dataset(csv_config(tmp_path))
    assert_complete(str(error.value))


def test_csv_in_other_encodings_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_bytes(csv_text().encode() + b"100,\xe9,1\n")
    with pytest.raises(DataError, match=r"line 7: expected UTF-8.*, got the byte 0xe9"):
        load_dataset(csv_config(tmp_path))


GOOD = [[0, 9], [-1, 9.25], [-2, 9.5], [-3, 9.75], [-4, 10]]  # ay, ax of wave_bob.csv


@pytest.mark.parametrize(
    "data",
    [
        csv_text(start=9).encode("utf-8-sig"),
        csv_text(start=9).encode("utf-16"),
        csv_text(start=9).replace(",", ";").encode(),
        csv_text(start=9).replace(",", "\t").encode(),
        csv_text(start=9).replace(",", ";").replace(".", ",").encode(),
        csv_text(start=9).replace("\n", "\r\n").encode(),
        csv_text(start=9).replace(",", " , ").encode(),
    ],
)
def test_csv_as_people_export_it_is_the_same(data: bytes, tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_bytes(data)
    dataset = load_dataset(csv_config(tmp_path))
    assert dataset.recordings[1].values.tolist() == GOOD


def test_blank_lines_and_repeated_headers_are_borders(tmp_path: Path) -> None:
    text = "ax,ay\n" + "\n\n".join("1,2\n3,4\n5,6" for _ in range(3)) + "\nax,ay\n7,8\n9,9\n"
    for label in ("wave", "rest"):
        (tmp_path / f"{label}.csv").write_text(text + f"{len(label)},{ord(label[0])}\n")
    config = csv_config(tmp_path, pattern=r"(?P<label>\w+)\.csv", time_column="")
    dataset = load_dataset(config)
    lengths = [len(r.values) for r in dataset.recordings]
    assert lengths == [3, 3, 3, 3] * 2
    assert len({r.group for r in dataset.recordings}) == 8  # no group in the name: each its own
    assert dataset.recordings[1].name == "rest.csv, line 6"


def test_a_file_without_a_header_takes_the_channels_by_their_order(tmp_path: Path) -> None:
    write_csv(tmp_path)
    for name in ("rest_ann.csv", "wave_bob.csv"):
        lines = (tmp_path / name).read_text().splitlines()[1:]
        cells = [line.split(",") for line in lines]
        (tmp_path / name).write_text("\n".join(f"{y},{x}" for _, x, y in cells))
    dataset = load_dataset(csv_config(tmp_path, time_column=""))
    assert dataset.recordings[1].values.tolist() == GOOD
    found = load_dataset(csv_config(tmp_path, time_column="", channels=()))
    assert found.channels == ("column 1", "column 2")


@pytest.mark.parametrize("separator", ["\t", ";"])
def test_decimal_commas_without_a_header_are_inside_numbers(separator: str, tmp_path: Path) -> None:
    write_csv(tmp_path)
    rows = [f"{y:.2f}{separator}{x:.2f}{separator}0.50".replace(".", ",") for y, x in GOOD]
    (tmp_path / "rest_ann.csv").write_text("\n".join(rows[1:]))
    (tmp_path / "wave_bob.csv").write_text("\n".join(rows))
    found = load_dataset(csv_config(tmp_path, time_column="", channels=()))
    assert found.channels == ("column 1", "column 2", "column 3")
    assert found.recordings[1].values.tolist() == [[*row, 0.5] for row in GOOD]


def test_a_separator_in_quotes_does_not_count(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_text(
        csv_text(start=9, header='t_ms,ax,ay,"a;b"')
        .replace("\n", ",0\n")
        .replace('"a;b",0', '"a;b"')
    )
    assert load_dataset(csv_config(tmp_path)).recordings[1].values.tolist() == GOOD


@pytest.mark.parametrize(
    ("unit", "stamp"),
    [
        ("s", lambda i: f"{i / 50}"),
        ("us", lambda i: f"{1_700_000_000_000_000 + 20_000 * i}"),
        ("ns", lambda i: f"{20_000_000 * i}"),
        ("iso8601", lambda i: f"2024-05-01T12:30:00.{20 * i:03}Z"),
        ("iso8601", lambda i: f"2024-05-01 12:30:00.{20 * i:03}+02:00"),
        ("iso8601", lambda i: f"2024-05-01T12:30:00.{20_000_000 * i:09}"),
    ],
)
def test_times_of_all_units(unit: str, stamp: Callable[[int], str], tmp_path: Path) -> None:
    for name in ("rest_ann", "wave_bob"):
        rows = "".join(f"{stamp(i)},{i},{len(name) + ord(name[0])}\n" for i in range(6))
        (tmp_path / f"{name}.csv").write_text("when,ax,ay\n" + rows)
    dataset = load_dataset(csv_config(tmp_path, time_column="when", time_unit=unit))
    times = dataset.recordings[0].times_s
    assert times is not None
    assert np.allclose(times, np.arange(6) / 50, atol=1e-6)
    with pytest.raises(DataError, match=r"line 2, column when: expected a .*, got .*time_unit"):
        (tmp_path / "rest_ann.csv").write_text("when,ax,ay\nnoon,1,2\n")
        load_dataset(csv_config(tmp_path, time_column="when", time_unit=unit))


def test_labels_are_compared_as_they_look(tmp_path: Path) -> None:
    for number, label in enumerate(("scho\u0308n", "rest")):  # decomposed, as macOS names files
        (tmp_path / f"{label}_ann.csv").write_text(csv_text(start=number))
    config = csv_config(tmp_path, pattern=r"(?P<label>[^_]+)_(?P<group>\w+)\.csv", labels=())
    assert load_dataset(config).labels == ("rest", "sch\xf6n")


def test_labels_are_merged_and_left_out(tmp_path: Path) -> None:
    for number, label in enumerate(("yes", "no", "cat", "dog", "noise")):
        (tmp_path / f"{label}_ann.csv").write_text(csv_text(start=number))
    merge = {"yes": "yes", "noise": "", "*": "other"}
    dataset = load_dataset(csv_config(tmp_path, labels=("yes", "other"), merge=merge))
    names = [dataset.labels[r.label] for r in dataset.recordings]
    assert sorted(names) == ["other", "other", "other", "yes"]
    keep = {"yes": "answer", "no": "answer", "*": "*", "noise": ""}
    dataset = load_dataset(csv_config(tmp_path, labels=(), merge=keep))
    assert dataset.labels == ("answer", "cat", "dog")
    with pytest.raises(DataError, match="the label 'cat' of the files has no class"):
        load_dataset(csv_config(tmp_path, labels=(), merge={"yes": "yes", "no": "no"}))
    with pytest.raises(DataError, match="'maybe' is the label of no recording"):
        load_dataset(csv_config(tmp_path, labels=(), merge={"maybe": "yes", "*": "no"}))


def test_jitter_and_gaps_need_a_resample(tmp_path: Path) -> None:
    write_csv(tmp_path)
    times = [0, 0.021, 0.038, 0.06, 0.081, 0.139, 0.161, 0.161, 0.5, 0.52, 0.54]
    rows = "".join(f"{t},{100 * t},{1 + t}\n" for t in times)
    (tmp_path / "wave_bob.csv").write_text("t_ms,ax,ay\n" + rows)
    config = csv_config(tmp_path, time_unit="s")
    (tmp_path / "rest_ann.csv").write_text(csv_text().replace("0,", "0.0,", 1))
    with pytest.raises(DataError, match=r"wave_bob.csv, line 9.*expected a time after"):
        load_dataset(config)
    (tmp_path / "rest_ann.csv").write_text(
        "t_ms,ax,ay\n" + "".join(f"{i / 50},1,{i}\n" for i in range(5))
    )
    config = csv_config(tmp_path, time_unit="s", resample=ResampleConfig(max_gap_s=0.1))
    dataset = load_dataset(config)
    first, second = (r for r in dataset.recordings if r.label == 0)
    assert len(first.values) == 9
    assert np.allclose(first.values[:, 1], 2 * np.arange(9), atol=1e-4)  # ax is linear in time
    assert second.name == "wave_bob.csv, line 2 + 0.500 s"
    (note,) = dataset.notes
    assert "the longest gap that was filled has 0.058 s" in note
    assert "1 longer ones end a recording, 1 samples repeat a time" in note


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    write_csv(tmp_path)
    for number in range(12):
        name = f"wave_{chr(97 + number)}.csv"
        (tmp_path / name).write_text(csv_text(start=number + 20).replace("40,", "40,x"))
    with pytest.raises(DataError, match=r"10 files are not as expected \(and perhaps more\)") as e:
        load_dataset(csv_config(tmp_path))
    assert str(e.value).count("expected a number") == 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": "(" * 3000}, "not a regular expression"),
        ({"pattern": "a{99999999999999999999}"}, "not a regular expression"),
        ({"pattern": r"(?P<group>\w+)\.csv"}, r"expected a part \(\?P<label>"),
        ({"time_column": "", "sample_rate_hz": 0.0}, "missing key 'dataset.sample_rate_hz'"),
        ({"label_column": "ax"}, "the label is in pattern and in label_column"),
        ({"folder": "$NO_SUCH_FOLDER_SET/data"}, "variable NO_SUCH_FOLDER_SET is not set"),
    ],
)
def test_a_wrong_csv_table_is_a_wrong_recipe(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_dataset(csv_config(tmp_path, **changes))
