"""A folder of WAV files: 16-bit or 24-bit PCM, one channel, one recording a file, from -1 to 1."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, table_of
from model.datasets.folder import (
    Folder,
    IrregularError,
    Labelled,
    Problems,
    SourceFile,
    build_dataset,
    compile_pattern,
    list_files,
    match_name,
    resolve,
)
from model.datasets.resample import Resampled, change_rate
from model.errors import DataError
from model.recipe import DatasetConfig

CHANNELS, UNITS = ("audio",), ("full scale",)

SUFFIXES = (".wav",)


def data_files(config: DatasetConfig) -> list[Path]:
    """The files that `load` reads."""
    table = table_of(config.wav_folder, "wav_folder")
    return list_files(resolve(table.folder, "dataset.wav_folder.folder"), SUFFIXES)


def load(config: DatasetConfig) -> Dataset:
    """All WAV files below [dataset.wav_folder].folder; label and group are parts of their names.

    Raises DataError for a file that is no WAV file, is truncated or empty, has several channels,
    another width, or without [dataset.resample] another rate than the recipe's; none is mixed.
    """
    table = table_of(config.wav_folder, "wav_folder")
    pattern = compile_pattern(table.pattern, ("label",), "dataset.wav_folder.pattern")
    folder = resolve(table.folder, "dataset.wav_folder.folder")
    rate = config.sample_rate_hz
    found: list[Labelled] = []
    files, done, problems = Folder(folder, SUFFIXES), Resampled(), Problems()
    for file in files:
        with problems.of(file.name):
            parts = match_name(pattern, file.name)
            values, got = decode(file)
            rate = rate or float(got)
            if got != rate and config.resample is None:
                raise IrregularError(
                    f"{file.name}: expected {rate:g} Hz, got {got}; change dataset.sample_rate_hz, "
                    "or put a table [dataset.resample] into the recipe, which brings all to it"
                )
            if got != rate:
                values = change_rate(values, got, rate, done)
            found.append(
                Labelled(
                    values=_clip(values, round(table.clip_seconds * rate)),
                    label=parts["label"],
                    group=parts.get("group") or file.name,
                    where=file.name,
                )
            )
    problems.refuse()
    notes = done.notes(config.resample, rate) if config.resample else ()
    return build_dataset(
        found,
        config,
        files.sha256,
        channels=CHANNELS,
        units=UNITS,
        sample_rate_hz=rate,
        notes=notes,
    )


def _clip(values: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """The middle `length` samples of a recording, or all of it amid silence; 0: as it is."""
    if not length:
        return values
    missing = length - len(values)
    if missing > 0:
        return np.pad(values, ((missing // 2, missing - missing // 2), (0, 0)))
    return values[-missing // 2 :][:length]


def decode(file: SourceFile) -> tuple[npt.NDArray[np.float32], int]:
    """(samples [n, 1] from -1 to 1, samples a second) of one file; DataError for another kind."""
    try:
        with wave.open(io.BytesIO(file.data), "rb") as sound:
            got = sound.getparams()
            _check_format(file.name, got.nchannels, got.sampwidth)
            data = sound.readframes(got.nframes)
    except (wave.Error, EOFError, RuntimeError, OverflowError, MemoryError) as error:
        raise DataError(
            f"{file.name}, {len(file.data)} bytes: expected a whole WAV file of 16-bit or 24-bit "
            f"PCM, got {str(error) or 'an early end'}; convert it again: sox in.wav -b 16 -c 1 "
            "out.wav"
        ) from error
    if not got.nframes or len(data) != got.sampwidth * got.nframes:
        raise DataError(
            f"{file.name}, {len(file.data)} bytes: expected {got.nframes or 'some'} samples, got "
            f"{len(data) // got.sampwidth}; the file is "
            f"{'truncated' if got.nframes else 'empty'}, copy or record it again"
        )
    return _from_pcm(data, got.sampwidth)[:, None], got.framerate


def _from_pcm(data: bytes, width: int) -> npt.NDArray[np.float32]:
    """Samples of `width` bytes, little-endian; the largest negative one is -1."""
    if width == 2:
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(1 << 15)
    low = np.frombuffer(data, np.uint8).reshape(-1, 3)
    padded = np.zeros((len(low), 4), np.uint8)
    padded[:, 1:] = low
    return (padded.view("<i4")[:, 0] / float(1 << 31)).astype(np.float32)


def _check_format(name: str, channels: int, width: int) -> None:
    if channels != 1:
        raise DataError(
            f"{name}: expected one channel (mono), got {channels}; mix or pick one: "
            "sox in.wav out.wav remix 1"
        )
    if width not in (2, 3):
        raise DataError(
            f"{name}: expected 16-bit or 24-bit samples, got {8 * width}-bit; convert: "
            "sox in.wav -b 16 out.wav"
        )
