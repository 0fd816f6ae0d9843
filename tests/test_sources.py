"""Every source of files: what is good is read exactly, what is wrong is named with its place."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import re
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.augment import WindowSampler
from model.datasets import SOURCES, load_dataset
from model.datasets import folder as folder_module
from model.datasets.base import Dataset, Recording
from model.errors import ConfigError, DataError
from model.features import split_windows
from model.features.design import design
from model.features.library import Extractor
from model.recipe import (
    RECIPES,
    AugmentConfig,
    CsvFolderConfig,
    DatasetConfig,
    EdgeImpulseConfig,
    FeatureConfig,
    NumpyFileConfig,
    WavFolderConfig,
    load_recipe,
)

ROOT = Path(__file__).parents[1]
KEY = b"a key for tests"


def _config(source: str, table: Any, sha256: str = "0" * 64) -> DatasetConfig:
    values: dict[str, Any] = {source: table}
    return DatasetConfig(
        source=source, sha256=sha256, val_groups=("ann",), test_groups=("bob",), **values
    )


def _load(config: DatasetConfig) -> Dataset:
    """Load with the hash that the first try's message states."""
    with pytest.raises(DataError) as error:
        load_dataset(config)
    match = re.search(r"expected SHA-256 0{64}, got (\w{64})", str(error.value))
    if match is None:
        raise error.value
    return load_dataset(dataclasses.replace(config, sha256=match[1]))


# --- CSV ---------------------------------------------------------------------------------------

HEADER = "t_ms,ax,ay"


def _csv(rows: int = 5, start: float = 0.0, header: str = HEADER) -> str:
    return header + "\n" + "".join(f"{20 * i},{start + i / 4},{-i}\n" for i in range(rows))


def _csv_config(path: Path, **changes: Any) -> DatasetConfig:
    table = CsvFolderConfig(
        folder=str(path),
        pattern=r"(?P<label>[a-z]+)_(?P<group>[a-z]+)\.csv",
        label_column="",
        labels=("wave", "rest"),
        channels=("ay", "ax"),
        time_column="t_ms",
        time_unit_s=0.001,
        sample_rate_hz=50.0,
    )
    return _config("csv_folder", dataclasses.replace(table, **changes))


def _write_csv(path: Path) -> None:
    (path / "rest_ann.csv").write_text(_csv())
    (path / "wave_bob.csv").write_text(_csv(start=9))


def test_csv_columns_labels_and_groups(tmp_path: Path) -> None:
    _write_csv(tmp_path)
    dataset = _load(_csv_config(tmp_path))
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
    config = _csv_config(tmp_path, pattern=r"(?P<group>\w+)\.csv", label_column="what")
    assert [(r.label, len(r.values)) for r in _load(config).recordings] == [(1, 3), (0, 4)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_csv(header="t_ms,ax,az"), r"line 1: expected one column 'ay', got 0 among .*correct"),
        (_csv(header="t_ms,ay,ay"), "line 1: expected one column 'ay', got 2"),
        (_csv().replace("40,", "40,x"), "line 4, column ax: expected a number, got 'x0.5'"),
        (_csv().replace("40,0.5", "40,nan"), "line 4, column ax: expected a number, got 'nan'"),
        (_csv().replace("40,0.5", "40,1_0"), "line 4, column ax: expected a number, got '1_0'"),
        (_csv().replace("40,0.5", "40,1e39"), "line 4, column ax: expected a number"),
        ("\ufeff" + _csv(), r"line 1: expected plain UTF-8, got UTF-8 with a byte order mark"),
        (_csv().replace(",", ";"), "line 1: expected columns separated by commas, got semicolons"),
        (_csv().replace(",", "\t"), "separated by commas, got tabs"),
        (_csv()[:-4], r"line 6: expected 3 cells as in the header, got 2.*truncated"),
        (_csv().replace("40,", "10,"), r"line 4, column t_ms: expected a time after 0.02 s"),
        (_csv().replace("80,", "180,"), r"line 6, .*got 0.12 s after .*samples are missing"),
        (HEADER + "\n0,1,2\n10,2,3\n20,3,4\n", "lines? 2 to 4, .*expected 50 Hz, got 100 Hz"),
        (HEADER + "\n0,1,2\n40,2,3\n80,3,4\n", "expected 50 Hz, got 25 Hz"),
        (HEADER + "\n", "no rows under the header"),
        ("", "line 1: expected one column 't_ms', got 0"),
        (_csv() + '"', "line 7: not CSV"),
    ],
)
def test_bad_csv_says_what_and_where(text: str, words: str, tmp_path: Path) -> None:
    _write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_text(text, "utf-8")
    with pytest.raises(DataError, match=rf"wave_bob\.csv.*{words}"):
        _load(_csv_config(tmp_path))


def test_csv_in_other_encodings_is_refused(tmp_path: Path) -> None:
    _write_csv(tmp_path)
    (tmp_path / "wave_bob.csv").write_bytes(_csv().encode("utf-16"))
    with pytest.raises(DataError, match="expected plain UTF-8, got UTF-16"):
        _load(_csv_config(tmp_path))
    (tmp_path / "wave_bob.csv").write_bytes(_csv().encode() + b"100,\xe9,1\n")
    with pytest.raises(DataError, match="line 7: expected UTF-8, got the byte 0xe9"):
        _load(_csv_config(tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": r"(?P<label>\w+)\.csv"}, r"expected a part \(\?P<group>"),
        ({"label_column": "ax"}, "the label is in pattern and in label_column"),
        ({"time_unit_s": 0.0}, "time_unit_s: expected seconds above 0"),
        ({"folder": "$NO_SUCH_FOLDER_SET/data"}, "variable NO_SUCH_FOLDER_SET is not set"),
    ],
)
def test_a_wrong_csv_table_is_a_wrong_recipe(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_dataset(_csv_config(tmp_path, **changes))


# --- folders -----------------------------------------------------------------------------------


def test_folders_refuse_what_does_not_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _csv_config(tmp_path)
    with pytest.raises(DataError, match=r"expected 1 to 20,000 files \*\.csv, got 0"):
        load_dataset(config)
    with pytest.raises(DataError, match="no such folder"):
        load_dataset(_csv_config(tmp_path / "nowhere"))
    _write_csv(tmp_path)
    with pytest.raises(DataError, match="other data than the recipe's"):
        load_dataset(config)
    (tmp_path / "copy.csv").write_text(_csv())
    with pytest.raises(DataError, match=r"rest_ann\.csv and copy\.csv have the same content"):
        _load(config)
    (tmp_path / "copy.csv").write_text(_csv(start=3))
    with pytest.raises(DataError, match=r"copy\.csv: the name does not fit the recipe's pattern"):
        _load(config)
    (tmp_path / "copy.csv").rename(tmp_path / "jump_ann.csv")
    with pytest.raises(DataError, match=r"jump_ann\.csv.*label 'jump', expected one of"):
        _load(config)
    for limit in ("MAX_FILE_BYTES", "MAX_TOTAL_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(folder_module, limit, 60)
            with pytest.raises(DataError, match="expected at most 60 bytes"):
                _load(config)


def test_a_class_without_files_is_found(tmp_path: Path) -> None:
    (tmp_path / "rest_ann.csv").write_text(_csv())
    with pytest.raises(DataError, match="class 'wave' has no recordings"):
        _load(_csv_config(tmp_path))


def test_a_changed_name_changes_the_hash(tmp_path: Path) -> None:
    _write_csv(tmp_path)
    good = dataclasses.replace(_csv_config(tmp_path), sha256=_load(_csv_config(tmp_path)).sha256)
    load_dataset(good)
    (tmp_path / "rest_ann.csv").rename(tmp_path / "rest_eve.csv")
    with pytest.raises(DataError, match="other data than the recipe's"):
        load_dataset(good)


def test_folders_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    _write_csv(tmp_path / "below")
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    dataset = _load(_csv_config(tmp_path, folder="$SOME_DATA/below"))
    assert len(dataset.recordings) == 2


def test_groups_are_held_out_by_name(tmp_path: Path) -> None:
    _write_csv(tmp_path)
    (tmp_path / "rest_eve.csv").write_text(_csv(start=5))
    config = _csv_config(tmp_path)
    dataset = _load(config)
    features = FeatureConfig(
        kind="raw", window=2, hop=2, lsb=(0.1, 0.1), offset=(0.0,), scale=(1.0,)
    )
    extractor = Extractor(design(features, 50.0, 2))
    splits = split_windows(dataset, config, extractor)
    groups = {name: {dataset.group_title(g) for g in w.group} for name, w in splits.items()}
    assert groups == {"train": {"eve"}, "val": {"ann"}, "test": {"bob"}}
    wrong = dataclasses.replace(config, val_groups=("anna", 3))
    with pytest.raises(ConfigError, match=r"\[3, 'anna'\] are not in the data; it has \['ann'"):
        split_windows(dataset, wrong, extractor)


# --- WAV ---------------------------------------------------------------------------------------


def _wav(
    path: Path, values: list[int], channels: int = 1, width: int = 2, rate: int = 8000
) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(b"".join(v.to_bytes(width, "little", signed=True) for v in values))


def _wav_config(path: Path) -> DatasetConfig:
    table = WavFolderConfig(
        folder=str(path),
        pattern=r"(?P<group>\w+)/(?P<label>\d)\.wav",
        labels=("0", "1"),
        sample_rate_hz=8000.0,
    )
    return _config("wav_folder", table)


def _write_wav(path: Path) -> Path:
    for group in ("ann", "bob"):
        (path / group).mkdir()
        for digit in range(2):
            _wav(
                path / group / f"{digit}.wav", [0, 16384, -32768, digit, len(group) + ord(group[0])]
            )
    return path / "bob" / "1.wav"


def test_wav_samples_labels_and_groups(tmp_path: Path) -> None:
    _write_wav(tmp_path)
    dataset = _load(_wav_config(tmp_path))
    assert [(r.label, r.group) for r in dataset.recordings] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert dataset.recordings[0].values[:3].tolist() == [[0.0], [0.5], [-1.0]]
    assert dataset.channels == ("audio",)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: _wav(p, [1] * 8, rate=16000), "expected 8000 Hz, got 16000; convert"),
        (lambda p: _wav(p, [1] * 8, width=3), "expected 16-bit samples, got 24-bit; convert"),
        (lambda p: _wav(p, [1] * 8, channels=2), r"expected one channel \(mono\), got 2; mix"),
        (lambda p: _wav(p, []), "the file is empty"),
        (lambda p: p.write_bytes(p.read_bytes()[:-4]), "got 3; the file is truncated"),
        (lambda p: p.write_bytes(p.read_bytes()[:30]), "not a whole WAV file"),
        (lambda p: p.write_bytes(b""), "not a whole WAV file"),
        (lambda p: p.write_bytes(b"ID3\x04" + bytes(99)), "not a whole WAV file"),
    ],
)
def test_bad_wav_says_what_and_where(
    spoil: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    spoil(_write_wav(tmp_path))
    with pytest.raises(DataError, match=rf"bob/1\.wav: .*{words}"):
        _load(_wav_config(tmp_path))


def test_spoken_digits_where_they_are() -> None:
    if not os.environ.get("FSDD"):
        pytest.skip("FSDD is not set to the folder of the Free Spoken Digit Dataset")
    table = WavFolderConfig(
        folder="$FSDD/recordings",
        pattern=r"(?P<label>\d)_(?P<group>[a-z]+)_\d+\.wav",
        labels=tuple("0123456789"),
        sample_rate_hz=8000.0,
    )
    dataset = _load(_config("wav_folder", table))
    assert len(dataset.recordings) == 3000
    assert len(dataset.group_names) == 6


# --- Edge Impulse ------------------------------------------------------------------------------


def _sample(start: float = 0.0, **payload: Any) -> dict[str, Any]:
    return {
        "protected": {"ver": "v1", "alg": "HS256", "iat": 1700000000},
        "signature": "0" * 64,
        "payload": {
            "device_name": "ac:87:a3:0a:2d:1b",
            "device_type": "TEST",
            "interval_ms": 16,
            "sensors": [{"name": "accX", "units": "m/s2"}, {"name": "accY", "units": "m/s2"}],
            "values": [[start, 1], [start + 0.5, 2], [3, -4.25]],
            **payload,
        },
    }


def _signed(content: dict[str, Any], key: bytes = KEY) -> str:
    text = json.dumps(content)
    return text.replace("0" * 64, hmac.new(key, text.encode(), hashlib.sha256).hexdigest())


def _ei_config(path: Path, **changes: Any) -> DatasetConfig:
    table = EdgeImpulseConfig(
        folder=str(path),
        pattern=r"(?P<label>[a-z]+)\.\w+\.json",
        labels=("idle", "wave"),
        channels=("accY", "accX"),
        units=("m/s2", "m/s2"),
        sample_rate_hz=62.5,
        hmac_key_variable="TEST_HMAC_KEY",
    )
    return _config("edge_impulse", dataclasses.replace(table, **changes))


@pytest.fixture
def ei(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEST_HMAC_KEY", KEY.decode())
    (tmp_path / "idle.1.json").write_text(_signed(_sample()))
    (tmp_path / "wave.2.json").write_text(_signed(_sample(7)))
    return tmp_path


def test_edge_impulse_is_read_and_its_signature_checked(ei: Path) -> None:
    dataset = _load(_ei_config(ei))
    assert dataset.group_names == ("ac:87:a3:0a:2d:1b",)
    assert dataset.recordings[1].values.tolist() == [[1, 7], [2, 7.5], [-4.25, 3]]
    named = _ei_config(ei, pattern=r"(?P<label>[a-z]+)\.(?P<group>\w+)\.json")
    assert _load(named).group_names == ("1", "2")


def test_one_sensor_may_have_plain_numbers(ei: Path) -> None:
    for name in ("idle.1", "wave.2"):
        sensors = [{"name": "audio", "units": "wav"}]
        sample = _sample(sensors=sensors, values=[1, -2, len(name), ord(name[0])])
        (ei / f"{name}.json").write_text(_signed(sample))
    config = _ei_config(ei, channels=("audio",), units=("wav",))
    assert _load(config).recordings[0].values.tolist() == [[1], [-2], [6], [105]]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"interval_ms": 10}, r"interval_ms: expected 16 ms \(62.5 Hz\), got 10 ms \(100 Hz\)"),
        ({"interval_ms": "16"}, "interval_ms: expected milliseconds above 0, got '16'"),
        ({"interval_ms": 0}, "interval_ms: expected milliseconds above 0, got 0"),
        ({"device_name": 3}, "device_name: expected a string, got 3"),
        ({"device_type": None}, "device_type: expected a string, got None"),
        ({"sensors": {}}, "sensors: expected a list, got an object"),
        ({"sensors": ["accX"]}, r"sensors\[0\]: expected an object, got 'accX'"),
        ({"sensors": [{"name": "accX"}]}, r"sensors\[0\]: units: expected a string, got nothing"),
        (
            {"sensors": [{"name": "accX", "units": "g"}, {"name": "accY", "units": "g"}]},
            "expected 'accY' in 'm/s2', got 'g'",
        ),
        (
            {"sensors": [{"name": "accX", "units": "m/s2"}]},
            r"expected 'accY' in 'm/s2', got no such one in \['accX'\]",
        ),
        ({"values": []}, "values: expected samples, got none"),
        ({"values": [[1, 2], [3]]}, r"values\[1\]: expected 2 numbers, one a sensor, got 1"),
        ({"values": [[1, 2], ["3", 4]]}, r"values\[1\]: expected a number, got '3'"),
        ({"values": [[1, 2], [True, 4]]}, r"values\[1\]: expected a number, got True"),
        ({"values": [[1, 2], [10**60, 4]]}, r"values\[1\]: expected a number, got 1000"),
        ({"values": [[1, float("nan")]]}, "not JSON: expected numbers, got NaN"),
    ],
)
def test_a_bad_payload_says_what_and_where(payload: dict[str, Any], words: str, ei: Path) -> None:
    (ei / "wave.2.json").write_text(_signed(_sample(**payload)))
    with pytest.raises(DataError, match=rf"wave\.2\.json.*{words}"):
        _load(_ei_config(ei))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[: len(t) // 2], r"line 1, column \d+: not JSON: .*truncated"),
        (lambda t: t.replace("[7, 1]", "[8, 1]"), "signature: expected the file's HMAC"),
        (lambda t: _signed(_sample(7), b"another key"), "signed with another key"),
        (lambda t: t.replace('"v1"', '"v2"'), "protected.ver: expected v1, got 'v2'"),
        (lambda t: t.replace('"HS256"', '"RS256"'), "protected.alg: expected HS256 or none"),
        (lambda t: t.replace('"HS256"', '"none"'), "expected HS256 because a key is given"),
        (lambda t: json.dumps({**_sample(7), "signature": "ab"}), "expected 64 hexadecimal"),
        (lambda t: '{"payload": 1, "payload": 2}', "is there twice"),
        (lambda t: "[]", "expected an object, got a list"),
        (lambda t: "{}", "protected: expected an object, got nothing"),
        (lambda t: "[" * 100_000, "not JSON"),
    ],
)
def test_a_damaged_file_says_what_and_where(
    change: Callable[[str], str], words: str, ei: Path
) -> None:
    (ei / "wave.2.json").write_text(change(_signed(_sample(7))))
    with pytest.raises(DataError, match=rf"wave\.2\.json.*{words}"):
        _load(_ei_config(ei))


def test_without_a_key_signatures_are_not_checked(ei: Path) -> None:
    (ei / "wave.2.json").write_text(json.dumps(_sample(7)))
    assert len(_load(_ei_config(ei, hmac_key_variable="")).recordings) == 2
    with pytest.raises(ConfigError, match="variable NO_KEY_HERE is not set"):
        load_dataset(_ei_config(ei, hmac_key_variable="NO_KEY_HERE"))


def test_cbor_is_refused_by_name(ei: Path) -> None:
    (ei / "wave.3.json").write_bytes(b"\xa3iprotected\xa2cverbv1")
    with pytest.raises(DataError, match=r"wave\.3\.json: expected JSON, got CBOR"):
        _load(_ei_config(ei))
    (ei / "wave.3.json").rename(ei / "wave.3.cbor")
    with pytest.raises(DataError, match=r"wave\.3\.cbor: expected JSON, got CBOR"):
        _load(_ei_config(ei))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_json_raises_our_error_only(data: st.DataObject, ei: Path) -> None:
    text = bytearray(_signed(_sample(7)).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    (ei / "wave.2.json").write_bytes(text[: data.draw(st.integers(1, len(text)))])
    with contextlib.suppress(DataError):
        _load(_ei_config(ei, hmac_key_variable=""))


# --- NumPy -------------------------------------------------------------------------------------


def _arrays() -> dict[str, Any]:
    return {
        "samples": np.arange(48, dtype=np.float32).reshape(4, 6, 2),
        "labels": np.array([0, 1, 0, 1]),
        "groups": np.array([5, 5, 9, 9]),
    }


def _npz_config(path: Path) -> DatasetConfig:
    table = NumpyFileConfig(
        file=str(path), labels=("idle", "wave"), channels=("ax", "ay"), sample_rate_hz=50.0
    )
    return _config("numpy_file", table)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read(save: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    save(path, **{**_arrays(), "samples": np.asfortranarray(_arrays()["samples"])})
    dataset = _load(_npz_config(path))
    assert [(r.label, r.group) for r in dataset.recordings] == [(0, 5), (1, 5), (0, 9), (1, 9)]
    assert np.array_equal(dataset.recordings[2].values, _arrays()["samples"][2])
    assert dataset.group_title(9) == 9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": np.zeros((4, 6))}, r"samples: expected the shape \[.*got \[4, 6\]"),
        ({"samples": np.zeros((4, 6, 3))}, r"one channel for each of .*got \[4, 6, 3\]"),
        ({"samples": np.full((4, 6, 2), np.nan)}, r"samples\[0, 0, 0\]: expected a finite number"),
        ({"samples": np.array([None] * 4)}, "samples: expected numbers, got the type object"),
        ({"samples": np.array(["a"] * 4)}, "samples: expected numbers, got the type <U1"),
        ({"labels": np.array([0, 1, 0])}, r"labels: expected 4 integers.*got the shape \[3\]"),
        ({"labels": np.zeros(4)}, r"labels: expected 4 integers.*of float64"),
        ({"labels": np.array([0, 1, 2, 1])}, "labels: expected 0 to 1, .*got 2"),
        ({"labels": np.array([0, 1, -1, 1])}, "labels: expected 0 to 1, .*got -1"),
        ({"labels": np.array([0, 0, 0, 0])}, "class 'wave' has no recordings"),
        ({"groups": None}, "no array 'groups', expected samples, labels, groups"),
    ],
)
def test_bad_npz_says_what_and_where(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    arrays = {k: v for k, v in {**_arrays(), **changes}.items() if v is not None}
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=words):
        _load(_npz_config(path))


def test_an_npz_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **_arrays())
    good = path.read_bytes()
    for shape in (b"(4, 6, 3)", b"(4,-6, 2)"):
        with zipfile.ZipFile(path) as archive:
            members = {n: archive.read(n) for n in archive.namelist()}
        members["samples.npy"] = members["samples.npy"].replace(b"(4, 6, 2)", shape)
        with zipfile.ZipFile(tmp_path / "lies.npz", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        with pytest.raises(DataError, match=r"samples: .*shape.*the file is damaged"):
            _load(_npz_config(tmp_path / "lies.npz"))
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        _load(_npz_config(path))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_npz_raises_our_error_only(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **_arrays())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(DataError):
        _load(_npz_config(path))


# --- recipes -----------------------------------------------------------------------------------

TABLE = """
[dataset.wav_folder]
folder = "$FSDD/recordings"
pattern = '(?P<label>\\d)_(?P<group>[a-z]+)_\\d+\\.wav'
labels = ["0", "1"]
sample_rate_hz = 8000

[checks]
"""


def _recipe(tmp_path: Path, *changes: tuple[str, str]) -> DatasetConfig:
    text = (RECIPES / "motion.toml").read_text()
    text = text.replace("seglearn_watch", "wav_folder").replace("\n[checks]\n", TABLE)
    text = text.replace("val_groups = [6, 7]", 'val_groups = ["theo", 7]')
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "own.toml").write_text(text)
    return load_recipe(str(tmp_path / "own.toml")).dataset


def test_a_recipe_names_a_source_with_its_table(tmp_path: Path) -> None:
    dataset = _recipe(tmp_path)
    assert dataset.wav_folder is not None
    assert dataset.wav_folder.sample_rate_hz == 8000.0
    assert dataset.val_groups == ("theo", 7)
    assert dataset.csv_folder is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("folder = ", "path = ", "wav_folder: unknown key 'path'"),
        ('labels = ["0", "1"]\n', "", "wav_folder: missing key 'labels'"),
        ('labels = ["0", "1"]', 'labels = ["0", "0"]', "at least two different labels"),
        ("rate_hz = 8000\n", "rate_hz = 0\n", "sample_rate_hz: expected a rate above 0"),
        ('"theo"', "0.5", "val_groups: expected int or str, got 0.5"),
        ('= "wav_folder"', '= "csv_folder"', r"missing table \[dataset.csv_folder\]"),
        ('= "wav_folder"', '= "seglearn_watch"', r"\[dataset.wav_folder\] belongs to the source"),
        ("[dataset.wav_folder]\n", "[[dataset.wav_folder]]\n", "wav_folder: expected a table"),
    ],
)
def test_a_wrong_table_says_what_and_where(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        _recipe(tmp_path, (old, new))


def _examples() -> dict[str, str]:
    """Source -> its example in the README of the sources."""
    text = (ROOT / "model/datasets/README.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    return {re.findall(r'source = "(\w+)"', block)[0]: block for block in blocks}


@pytest.mark.parametrize("source", [s for s in SOURCES if s in DatasetConfig.__dataclass_fields__])
def test_the_examples_of_the_readme_are_recipes(source: str, tmp_path: Path) -> None:
    text = (RECIPES / "motion.toml").read_text()
    start, end = text.index("[dataset]"), text.index("[checks]")
    (tmp_path / "own.toml").write_text(text[:start] + _examples()[source] + text[end:])
    dataset = load_recipe(str(tmp_path / "own.toml")).dataset
    assert dataset.source == source
    assert getattr(dataset, source) is not None


# --- digits ------------------------------------------------------------------------------------


def test_digits_are_read_and_split_at_random() -> None:
    recipe = load_recipe("digits")
    dataset = load_dataset(recipe.dataset)
    assert len(dataset.recordings) == 1797
    first = dataset.recordings[0]  # a zero
    assert first.label == 0
    assert first.values[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert {r.group for r in dataset.recordings} == set(range(10))
    assert load_dataset(recipe.dataset).recordings[7].group == dataset.recordings[7].group


def test_augmentation_of_any_channels_keeps_whole_recordings() -> None:
    values = np.arange(24, dtype=np.float32).reshape(8, 3) ** 2
    recording = Recording(values=values, label=1, group=0)
    config = AugmentConfig(
        kind="signal",
        speed=1.0,
        mirror=False,
        rotation_degrees=0.0,
        gain=0.0,
        noise=(0.0, 0.0, 0.0),
    )
    features = FeatureConfig(
        kind="raw", window=8, hop=8, lsb=(1 / 32,) * 3, offset=(0.0,), scale=(2.0,)
    )
    extractor = Extractor(design(features, 1.0, 3))
    x, y = WindowSampler([recording], extractor, config, 1).batch(4)
    assert np.array_equal(x, np.broadcast_to(values / 2, (4, 8, 3)))
    assert y.tolist() == [1] * 4
    louder = dataclasses.replace(config, gain=0.3)
    x, _ = WindowSampler([recording], extractor, louder, 1).batch(4)
    ratio = x[:, 1:] / values[1:]
    assert np.allclose(ratio, ratio[:, -1:, -1:], atol=1 / 32)  # rounded to steps of the sensor
    assert len(np.unique(ratio[:, -1, -1].round(4))) == 4
    noisy = dataclasses.replace(config, noise=(0.0, 0.0, 8.0))
    x, _ = WindowSampler([recording], extractor, noisy, 1).batch(4)
    assert np.array_equal(x[..., :2], np.broadcast_to(values[:, :2] / 2, (4, 8, 2)))
    assert 0.1 < np.abs(x[..., 2] - values[:, 2] / 2).mean() < 4


def test_augmentation_of_inertial_data_needs_six_channels(tmp_path: Path) -> None:
    text = (RECIPES / "digits.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace('kind = "signal"', 'kind = "inertial"'))
    with pytest.raises(ConfigError, match="'inertial' needs 6 channels.*got 8; use 'signal'"):
        load_recipe(str(tmp_path / "own.toml"))
