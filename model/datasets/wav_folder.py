"""A folder of WAV files: 16-bit or 24-bit PCM, one channel, one recording a file, from -1 to 1."""

from __future__ import annotations

import struct
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
    match_name,
    named_parts,
    named_targets,
)
from model.datasets.paths import list_files, resolve
from model.datasets.resample import MAX_VALUES, Resampled, change_rate
from model.datasets.truth import CLASSES, Truth
from model.errors import DataError
from model.recipe import DatasetConfig

CHANNELS, UNITS = ("audio",), ("full scale",)
PCM, EXTENSIBLE = 1, 0xFFFE  # of a file's format; the latter has the kind in its extension
KINDS = {2: "ADPCM", 3: "floating point", 6: "A-law", 7: "mu-law", 0x11: "IMA ADPCM", 0x55: "MP3"}
# of samples, on from here: a program that writes to a pipe does not know the length, and ffmpeg has
# 0xFFFFFFFF in its place, eSpeak and sox 0x7FFFF000 less what is no whole sample
UNKNOWN_BYTES = 0x7FFFF000 - 8
MAX_RATE_HZ = 1_000_000

SUFFIXES = (".wav",)


def data_files(config: DatasetConfig) -> list[Path]:
    """The files that `load` reads."""
    table = table_of(config.wav_folder, "wav_folder")
    return list_files(resolve(table.folder, "dataset.wav_folder.folder"), SUFFIXES)


def load(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """All WAV files below [dataset.wav_folder].folder; their names tell the rest.

    Raises DataError for a file that is no WAV file, is truncated or empty, has several channels,
    another width, or without [dataset.resample] another rate than the recipe's; none is mixed.
    """
    table = table_of(config.wav_folder, "wav_folder")
    pattern = compile_pattern(table.pattern, named_parts(truth), "dataset.wav_folder.pattern")
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
                values = change_rate(values, got, rate, done, file.name)
            length = table.clip_seconds * rate
            if length > MAX_VALUES:
                raise DataError(
                    f"{file.name}: expected dataset.wav_folder.clip_seconds of at most "
                    f"{MAX_VALUES:,} samples, got {length:.4g} at {rate:g} Hz; shorten it"
                )
            values = files.keep(clip(values, round(length)))
            found.append(
                Labelled(
                    values=values,
                    label=parts.get("label", ""),
                    group=parts.get("group") or file.name,
                    file=file.name,
                    targets=named_targets(parts, truth, len(values), file.name),
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
        truth=truth,
    )


def clip(values: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """The middle `length` samples of a recording, or all of it amid silence; 0: as it is."""
    if not length:
        return values
    missing = length - len(values)
    if missing > 0:
        return np.pad(values, ((missing // 2, missing - missing // 2), (0, 0)))
    return values[-missing // 2 :][:length]


def decode(file: SourceFile) -> tuple[npt.NDArray[np.float32], int]:
    """(samples [n, 1] from -1 to 1, samples a second) of one file; DataError for another kind.

    RIFF by hand: what Python's module `wave` reads differs between versions.
    """
    chunks = _chunks(file)
    form = chunks.get(b"fmt ", b"")
    if len(form) < 16:
        raise _not_wav(file, f"{len(form)} bytes of format")
    kind, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and len(form) >= 40:
        (kind,) = struct.unpack_from("<H", form, 24)
    _check_format(file.name, kind, channels, bits)
    if b"data" not in chunks or not rate or frame_bytes != bits // 8:
        raise _not_wav(file, "no samples" if rate else "0 samples a second")
    if rate > MAX_RATE_HZ:
        raise DataError(
            f"{file.name}: expected at most {MAX_RATE_HZ:,} samples a second, got {rate:,}; "
            "correct the file's head, or record it again"
        )
    data = chunks[b"data"]
    if not data:
        raise DataError(
            f"{file.name}, {len(file.data)} bytes: expected some samples, got 0; the file is empty,"
            " record it again"
        )
    return _from_pcm(data[: len(data) // frame_bytes * frame_bytes], frame_bytes)[:, None], rate


def _chunks(file: SourceFile) -> dict[bytes, bytes]:
    """Name -> content of the file's parts up to its samples; the first of each name."""
    data, found, at = file.data, dict[bytes, bytes](), 12
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _not_wav(file, f"{data[:4]!r} at its start" if data else "an empty file")
    while at + 8 <= len(data) and b"data" not in found:
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"data" and size >= UNKNOWN_BYTES:
            size = len(data) - at - 8
        content = data[at + 8 : at + 8 + size]
        if len(content) < size:
            raise DataError(
                f"{file.name}, {len(data)} bytes: expected {size:,} bytes in its part "
                f"{name.decode('latin-1')!r}, got "
                f"{len(content):,}; the file is truncated, copy or record it again"
            )
        found.setdefault(name, content)
        at += 8 + size + size % 2
    return found


def _not_wav(file: SourceFile, got: str) -> DataError:
    return DataError(
        f"{file.name}, {len(file.data)} bytes: expected a whole WAV file of 16-bit or 24-bit PCM, "
        f"got {got}; convert it: sox in.wav -b 16 -c 1 out.wav"
    )


def _from_pcm(data: bytes, width: int) -> npt.NDArray[np.float32]:
    """Samples of `width` bytes, little-endian; the largest negative one is -1."""
    if width == 2:
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(1 << 15)
    low = np.frombuffer(data, np.uint8).reshape(-1, 3)
    padded = np.zeros((len(low), 4), np.uint8)
    padded[:, 1:] = low
    return (padded.view("<i4")[:, 0] / float(1 << 31)).astype(np.float32)


def _check_format(name: str, kind: int, channels: int, bits: int) -> None:
    """DataError, with how to convert the file, for all but 16 or 24 bits of one channel."""
    if kind == PCM and bits in (16, 24) and channels == 1:
        return
    if kind == PCM and bits in (16, 24):
        raise DataError(
            f"{name}: expected one channel (mono), got {channels}; mix or pick one: "
            "sox in.wav out.wav remix 1"
        )
    got = f"{bits}-bit" if kind == PCM else KINDS.get(kind, f"the kind {kind:#06x}, {bits}-bit")
    raise DataError(
        f"{name}: expected 16-bit or 24-bit samples, got {got}; convert: sox in.wav "
        f"-b {24 if bits > 24 else 16} -e signed-integer -c 1 out.wav"
    )
