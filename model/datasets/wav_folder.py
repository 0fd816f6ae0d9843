"""A folder of WAV files: 16-bit PCM, one channel, one recording a file; samples from -1 to 1."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, table_of
from model.datasets.folder import (
    MAX_TOTAL_BYTES,
    Labelled,
    SourceFile,
    build_dataset,
    compile_pattern,
    list_files,
    match_name,
    named_parts,
    named_targets,
    read_folder,
    resolve,
)
from model.datasets.truth import CLASSES, Truth
from model.errors import ConfigError, DataError
from model.recipe import DatasetConfig, WavFolderConfig

CHANNELS = ("audio",)

SUFFIXES = (".wav",)


def data_files(config: DatasetConfig) -> list[Path]:
    """The files that `load` reads."""
    table = table_of(config.wav_folder, "wav_folder")
    return list_files(resolve(table.folder, "dataset.wav_folder.folder"), SUFFIXES)


def load(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """All WAV files below [dataset.wav_folder].folder; their names tell the rest.

    Raises DataError for a file that is no WAV file, is truncated or empty, or has another rate,
    width or number of channels than the recipe's; no file is resampled or mixed.
    """
    table = table_of(config.wav_folder, "wav_folder")
    pattern = compile_pattern(
        table.pattern, (*named_parts(truth), "group"), "dataset.wav_folder.pattern"
    )
    folder = resolve(table.folder, "dataset.wav_folder.folder")
    files = read_folder(folder, SUFFIXES, config.sha256)
    length = round(table.clip_seconds * table.sample_rate_hz)
    if table.clip_seconds and not 1 <= length <= MAX_TOTAL_BYTES // 2 // len(files):
        raise ConfigError(
            f"dataset.wav_folder.clip_seconds: expected 0, or 1 to "
            f"{MAX_TOTAL_BYTES // 2 // len(files)} samples for each of {len(files)} files, got "
            f"{table.clip_seconds:g} s, which are {length} samples"
        )
    found = []
    for file in files:
        parts = match_name(pattern, file.name)
        values = _clip(_decode(file, table), length)
        found.append(
            Labelled(
                values=values,
                label=parts.get("label", ""),
                group=parts["group"],
                where=file.name,
                targets=named_targets(parts, truth, len(values), file.name),
            )
        )
    rate = table.sample_rate_hz
    return build_dataset(found, table.labels, CHANNELS, rate, config.sha256, truth=truth)


def _clip(values: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """The middle `length` samples of a recording, or all of it amid silence; 0: as it is."""
    if not length:
        return values
    missing = length - len(values)
    if missing > 0:
        return np.pad(values, ((missing // 2, missing - missing // 2), (0, 0)))
    return values[-missing // 2 :][:length]


def _decode(file: SourceFile, table: WavFolderConfig) -> npt.NDArray[np.float32]:
    """[samples, 1] of one file."""
    try:
        with wave.open(io.BytesIO(file.data), "rb") as sound:
            got = sound.getparams()
            _check_format(file.name, got.nchannels, got.sampwidth, got.framerate, table)
            data = sound.readframes(got.nframes)
    except (wave.Error, EOFError, RuntimeError, OverflowError, MemoryError) as error:
        raise DataError(
            f"{file.name}, {len(file.data)} bytes: expected a whole WAV file of 16-bit PCM, got "
            f"{str(error) or 'an early end'}; convert it again: sox in.wav -b 16 -c 1 out.wav"
        ) from error
    if not got.nframes or len(data) != 2 * got.nframes:
        raise DataError(
            f"{file.name}, {len(file.data)} bytes: expected {got.nframes or 'some'} samples, got "
            f"{len(data) // 2}; the file is {'truncated' if got.nframes else 'empty'}, copy or "
            "record it again"
        )
    return (np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768))[:, None]


def _check_format(name: str, channels: int, width: int, rate: int, table: WavFolderConfig) -> None:
    if channels != 1:
        raise DataError(
            f"{name}: expected one channel (mono), got {channels}; mix or pick one: "
            "sox in.wav out.wav remix 1"
        )
    if width != 2:
        raise DataError(
            f"{name}: expected 16-bit samples, got {8 * width}-bit; convert: "
            "sox in.wav -b 16 out.wav"
        )
    if rate != table.sample_rate_hz:
        raise DataError(
            f"{name}: expected {table.sample_rate_hz:g} Hz, got {rate}; convert: "
            f"sox in.wav -r {table.sample_rate_hz:g} out.wav, or change sample_rate_hz in the "
            "recipe"
        )
