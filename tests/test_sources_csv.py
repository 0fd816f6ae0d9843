"""CSV: what is good is read exactly, what is wrong is named with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model.datasets import load_dataset
from model.errors import ConfigError, DataError
from tests.sources import HEADER, assert_complete, csv_config, csv_text, load, write_csv


def test_csv_columns_labels_and_groups(tmp_path: Path) -> None:
    write_csv(tmp_path)
    dataset = load(csv_config(tmp_path))
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
    assert [(r.label, len(r.values)) for r in load(config).recordings] == [(1, 3), (0, 4)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (csv_text(header="t_ms,ax,az"), r"line 1: expected one column 'ay', got 0 among .*correct"),
        (csv_text(header="t_ms,ay,ay"), "line 1: expected one column 'ay', got 2"),
        (csv_text().replace("40,", "40,x"), "line 4, column ax: expected a number, got 'x0.5'"),
        (csv_text().replace("40,0.5", "40,nan"), "line 4, column ax: expected a number, got 'nan'"),
        (csv_text().replace("40,0.5", "40,1_0"), "line 4, column ax: expected a number, got '1_0'"),
        (csv_text().replace("40,0.5", "40,1e39"), "line 4, column ax: expected a number"),
        ("\ufeff" + csv_text(), r"line 1: expected plain UTF-8, got UTF-8 with a byte order mark"),
        (
            csv_text().replace(",", ";"),
            "line 1: expected columns separated by commas, got semicolons",
        ),
        (csv_text().replace(",", "\t"), "separated by commas, got tabs"),
        (csv_text()[:-4], r"line 6: expected 3 cells as in the header, got 2.*truncated"),
        (csv_text().replace("40,", "10,"), r"line 4, column t_ms: expected a time after 0.02 s"),
        (csv_text().replace("80,", "180,"), r"line 6, .*got 0.12 s after .*samples are missing"),
        (HEADER + "\n0,1,2\n10,2,3\n20,3,4\n", "lines? 2 to 4, .*expected 50 Hz, got 100 Hz"),
        (HEADER + "\n0,1,2\n40,2,3\n80,3,4\n", "expected 50 Hz, got 25 Hz"),
        (HEADER + "\n", "line 2: expected rows under the header, got none; remove"),
        ("", "line 1: expected one column 't_ms', got 0"),
        (csv_text() + '"', "line 7: expected CSV, got "),
    ],
)
def test_bad_csv_says_what_and_where(text: str, words: str, tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=rf"wave_bob\.csv.*{words}") as error:
        load(csv_config(tmp_path))
    assert_complete(str(error.value))


def test_csv_in_other_encodings_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_bytes(csv_text().encode("utf-16"))
    with pytest.raises(DataError, match="expected plain UTF-8, got UTF-16"):
        load(csv_config(tmp_path))
    (tmp_path / "wave_bob.csv").write_bytes(csv_text().encode() + b"100,\xe9,1\n")
    with pytest.raises(DataError, match="line 7: expected UTF-8, got the byte 0xe9"):
        load(csv_config(tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": r"(?P<label>\w+)\.csv"}, r"expected a part \(\?P<group>"),
        ({"label_column": "ax"}, "the label is in pattern and in label_column"),
        ({"folder": "$NO_SUCH_FOLDER_SET/data"}, "variable NO_SUCH_FOLDER_SET is not set"),
    ],
)
def test_a_wrong_csv_table_is_a_wrong_recipe(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_dataset(csv_config(tmp_path, **changes))
