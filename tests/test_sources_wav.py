"""WAV: what is good is read exactly, what is wrong is named with its file."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.datasets import load_dataset, resample, wav_folder
from model.datasets.resample import Resampled, change_rate
from model.errors import DataError
from model.recipe import DatasetConfig, ResampleConfig, WavFolderConfig
from tests.sources import assert_complete, source_config

GUID = bytes.fromhex("000000001000800000aa00389b71")  # behind the kind, of all kinds


def _wav(
    path: Path, values: list[int], channels: int = 1, width: int = 2, rate: int = 8000
) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(b"".join(v.to_bytes(width, "little", signed=True) for v in values))


def _raw_wav(
    path: Path, kind: int, bits: int, data: bytes, *, extended: bool = False, channels: int = 1
) -> None:
    """A WAV file of any kind; `extended` is WAVE_FORMAT_EXTENSIBLE, as ffmpeg writes 24 bits."""
    frame = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 0xFFFE if extended else kind, channels, 8000, 8000 * frame, frame, bits
    )
    if extended:
        form += struct.pack("<HHI", 22, bits, 4) + struct.pack("<H", kind) + GUID
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # of odd length, so padded
    body += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


@pytest.mark.parametrize("extended", [False, True])
def test_pcm_of_16_and_24_bits_is_read_in_either_form(extended: bool, tmp_path: Path) -> None:
    _write_wav(tmp_path)
    for bits, values in ((16, [0, 1 << 14, -(1 << 15)]), (24, [0, 1 << 22, -(1 << 23)])):
        data = b"".join(v.to_bytes(bits // 8, "little", signed=True) for v in values)
        _raw_wav(tmp_path / "ann" / "0.wav", 1, bits, data, extended=extended)
        first = load_dataset(_wav_config(tmp_path)).recordings[0]
        assert first.values[:, 0].tolist() == [0, 0.5, -1]


@pytest.mark.parametrize("rate", [48000, 44100, 22050, 11025, 8000])
def test_another_rate_keeps_the_sound_and_nothing_that_would_alias(rate: int) -> None:
    """To 16 kHz: above 8 kHz nothing is left, below 7.2 kHz all is, to 0.01 dB."""
    target, seconds = 16000, 0.5

    def level_db(frequency: float) -> float:
        times = np.arange(round(rate * seconds)) / rate
        tone = np.sin(2 * np.pi * frequency * times).astype(np.float32)[:, None]
        out = change_rate(tone, rate, target, Resampled(), "a.wav")
        assert len(out) == math.ceil(len(tone) * target / rate)
        inside = out[len(out) // 4 : -len(out) // 4, 0]  # away from the ends
        return float(10 * np.log10(2 * np.mean(inside**2)))

    lower = min(rate, target) / 2
    for share in (0.05, 0.5, 0.89):
        assert abs(level_db(share * lower)) < 0.01
    for frequency in np.linspace(target / 2 + 1, rate / 2 - 1, 7) if rate > target else ():
        assert level_db(frequency) < -75


@pytest.mark.parametrize("rate", [7.9, 0.016, 8001e3])
def test_a_rate_that_cannot_be_meant_is_told(rate: float, tmp_path: Path) -> None:
    """16 typed for 16 kHz."""
    _write_wav(tmp_path)
    config = dataclasses.replace(
        _wav_config(tmp_path),
        sample_rate_hz=rate,
        resample=ResampleConfig(method="linear", max_gap_s=0.5),
    )
    words = rf"ann/0\.wav: expected .* {re.escape(f'{rate:g}')} Hz.*, got 8000 Hz; correct"
    with pytest.raises(DataError, match=words) as error:
        load_dataset(config)
    assert_complete(str(error.value))


def test_what_resampling_makes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.zeros((10, 1), np.float32)
    change_rate(values, 100, 1000, Resampled(), "a.wav")
    monkeypatch.setattr(resample, "MAX_VALUES", 99)
    with pytest.raises(DataError, match=r"a\.wav: expected at most 99 values .*, got 100; correct"):
        change_rate(values, 100, 1000, Resampled(), "a.wav")
    config = ResampleConfig(method="linear", max_gap_s=5.0)
    times = np.array([0.0, 4.0])
    with pytest.raises(DataError, match=r"b\.csv: expected at most 99 values .* at 1e\+12 Hz"):
        list(resample.regular(times, values[:2], 1e12, config, Resampled(), "b.csv"))
    monkeypatch.setattr(resample, "MAX_TOTAL_VALUES", 150)
    done = Resampled()
    change_rate(values, 100, 900, done, "a.wav")
    with pytest.raises(DataError, match=r"b\.wav: expected at most 150 values of all recordings"):
        change_rate(values, 100, 900, done, "b.wav")


def test_clips_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_wav(tmp_path)
    monkeypatch.setattr(wav_folder, "MAX_VALUES", 7999)
    with pytest.raises(DataError, match=r"0\.wav: expected dataset.wav_folder.clip_seconds of at"):
        load_dataset(_wav_config(tmp_path, 1.0))


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
        (lambda p: _wav(p, [1] * 8, width=4), "got 32-bit; convert: sox in.wav -b 24 -e signed"),
        (lambda p: _raw_wav(p, 3, 32, b"abcd"), "got floating point; convert: sox in.wav -b 24"),
        (lambda p: _raw_wav(p, 7, 8, b"abcd"), "got mu-law; convert: sox in.wav -b 16"),
        (lambda p: _raw_wav(p, 0x161, 8, b"abcd"), "got the kind 0x0161, 8-bit; convert: sox"),
        (lambda p: _raw_wav(p, 3, 32, b"abcd", extended=True), "got floating point; convert: sox"),
        (lambda p: _wav(p, [1] * 8, channels=2), r"expected one channel \(mono\), got 2; mix"),
        (
            lambda p: _raw_wav(p, 1, 16, b"ab", extended=True, channels=6),
            r"expected one channel \(mono\), got 6; mix",
        ),
        (
            lambda p: p.write_bytes(p.read_bytes()[:40] + b"\xff\xff\xff\x7e" + bytes(8)),
            "expected 2,130,706,431 bytes in its part 'data', got 8; the file is truncated",
        ),
        (
            lambda p: p.write_bytes(p.read_bytes()[:24] + b"\xff" * 4 + p.read_bytes()[28:]),
            "expected at most 1,000,000 samples a second, got 4,294,967,295; correct",
        ),
        (lambda p: _wav(p, []), "the file is empty"),
        (
            lambda p: p.write_bytes(p.read_bytes()[:-4]),
            "50 bytes: expected 10 bytes in its part 'data', got 6; .*trunc",
        ),
        (
            lambda p: p.write_bytes(p.read_bytes()[:30]),
            "bytes: expected 16 bytes in its part 'fmt ', got 10; the file is truncated",
        ),
        (
            lambda p: p.write_bytes(p.read_bytes()[:36]),
            "bytes: expected a whole WAV file .*, got no samples; convert",
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


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_reaches_to_the_end_of_the_file(size: int, tmp_path: Path) -> None:
    _write_wav(tmp_path)
    path = tmp_path / "bob/1.wav"
    whole = load_dataset(_wav_config(tmp_path)).recordings
    head = path.read_bytes()
    assert head[36:40] == b"data"
    path.write_bytes(head[:40] + struct.pack("<I", size) + head[44:])
    piped = load_dataset(_wav_config(tmp_path)).recordings
    assert [r.values.tolist() for r in piped] == [r.values.tolist() for r in whole]


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
