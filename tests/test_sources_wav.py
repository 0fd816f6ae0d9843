"""WAV: what is good is read exactly, what is wrong is named with its file."""

from __future__ import annotations

import math
import os
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.datasets import load_dataset
from model.errors import DataError
from model.recipe import DatasetConfig, ResampleConfig, WavFolderConfig
from tests.sources import assert_complete, source_config


def _wav(
    path: Path, values: list[int], channels: int = 1, width: int = 2, rate: int = 8000
) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(b"".join(v.to_bytes(width, "little", signed=True) for v in values))


def _wav_config(path: Path, seconds: float = 0.0, **changes: Any) -> DatasetConfig:
    table = WavFolderConfig(
        folder=str(path),
        pattern=r"(?P<group>\w+)/(?P<label>\d)\.wav",
        clip_seconds=seconds,
    )
    return source_config("wav_folder", table, labels=("0", "1"), sample_rate_hz=8000.0, **changes)


def _write_wav(path: Path) -> Path:
    for group in ("ann", "bob"):
        (path / group).mkdir()
        for digit in range(2):
            _wav(
                path / group / f"{digit}.wav", [0, 16384, -32768, digit, len(group) + ord(group[0])]
            )
    return path / "bob" / "1.wav"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (5 / 8000, [0, 0.5, -1, 3 / 32768, 0.25]),
        (3 / 8000, [0.5, -1, 3 / 32768]),
        (2 / 8000, [0.5, -1]),
        (8 / 8000, [0, 0, 0.5, -1, 3 / 32768, 0.25, 0, 0]),
    ],
)
def test_wav_clips_have_one_length(tmp_path: Path, seconds: float, expected: list[float]) -> None:
    _write_wav(tmp_path)
    _wav(tmp_path / "ann" / "0.wav", [0, 16384, -32768, 3, 8192])
    dataset = load_dataset(_wav_config(tmp_path, seconds))
    first = next(r for r in dataset.recordings if r.name == "ann/0.wav")
    assert first.values[:, 0].tolist() == expected


def test_wav_of_24_bit_and_of_other_rates(tmp_path: Path) -> None:
    _write_wav(tmp_path)
    _wav(tmp_path / "ann" / "0.wav", [0, 1 << 22, -(1 << 23), 3 << 8, 1], width=3)
    first = load_dataset(_wav_config(tmp_path)).recordings[0]
    assert first.values[:, 0].tolist() == [0, 0.5, -1, 3 / 32768, 2.0**-23]
    rate, length = 44100, 4410
    tone = [round(8192 * math.sin(2 * math.pi * 440 * i / rate)) for i in range(length)]
    _wav(tmp_path / "ann" / "0.wav", tone, rate=rate)
    with pytest.raises(DataError, match=r"ann/0.wav: expected 8000 Hz, got 44100.*\[dataset.resa"):
        load_dataset(_wav_config(tmp_path))
    resample = ResampleConfig(max_gap_s=0.1)
    dataset = load_dataset(_wav_config(tmp_path, resample=resample))
    values = dataset.recordings[0].values[:, 0]
    assert len(values) == 800
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(800) / 8000)
    assert np.abs(values - expected)[50:-50].max() < 1e-3
    assert dataset.notes == ("resampled from 44100 Hz to 8000 Hz by a polyphase filter",)


def test_wav_samples_labels_and_groups(tmp_path: Path) -> None:
    _write_wav(tmp_path)
    dataset = load_dataset(_wav_config(tmp_path))
    assert [(r.label, r.group) for r in dataset.recordings] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert dataset.recordings[0].values[:3].tolist() == [[0.0], [0.5], [-1.0]]
    assert dataset.channels == ("audio",)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: _wav(p, [1] * 8, rate=16000), "expected 8000 Hz, got 16000; change .*resample"),
        (lambda p: _wav(p, [1] * 8, width=1), "expected 16-bit or 24-bit samples, got 8-bit; conv"),
        (lambda p: _wav(p, [1] * 8, channels=2), r"expected one channel \(mono\), got 2; mix"),
        (lambda p: _wav(p, []), "the file is empty"),
        (
            lambda p: p.write_bytes(p.read_bytes()[:-4]),
            "50 bytes: expected 5 samples, got 3; .*trunc",
        ),
        (
            lambda p: p.write_bytes(p.read_bytes()[:30]),
            "bytes: expected a whole WAV file .*, got ",
        ),
        (lambda p: p.write_bytes(b""), "bytes: expected a whole WAV file .*, got "),
        (
            lambda p: p.write_bytes(b"ID3\x04" + bytes(99)),
            "bytes: expected a whole WAV file .*, got ",
        ),
    ],
)
def test_bad_wav_says_what_and_where(
    spoil: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    spoil(_write_wav(tmp_path))
    with pytest.raises(DataError, match=rf"bob/1\.wav.*{words}") as error:
        load_dataset(_wav_config(tmp_path))
    assert_complete(str(error.value))


def test_a_class_without_sounds_is_found(tmp_path: Path) -> None:
    for path in (_write_wav(tmp_path), tmp_path / "ann" / "1.wav"):
        path.unlink()
    with pytest.raises(DataError, match="class '1' has no recordings, expected .*add recordings"):
        load_dataset(_wav_config(tmp_path))


def test_spoken_digits_where_they_are() -> None:
    if not os.environ.get("FSDD"):
        pytest.skip("FSDD is not set to the folder of the Free Spoken Digit Dataset")
    table = WavFolderConfig(
        folder="$FSDD/recordings",
        pattern=r"(?P<label>\d)_(?P<group>[a-z]+)_\d+\.wav",
    )
    dataset = load_dataset(source_config("wav_folder", table))
    assert dataset.sample_rate_hz == 8000.0
    assert dataset.labels == tuple("0123456789")
    assert len(dataset.recordings) == 3000
    assert len(dataset.group_names) == 6
