"""A folder of JSON and CBOR files in Edge Impulse's data acquisition format, version 1.

A file is {"protected": {"ver", "alg"}, "signature", "payload": {"device_type", "interval_ms",
"sensors": [{"name", "units"}], "values": [[a number a sensor], ...]}}. The signature is the HMAC
with SHA-256 over the file's bytes with 64 zeros (the digit) in the signature's place, as
hexadecimal digits. A .cbor file is the same object in CBOR (RFC 8949), where `values` may be of
indefinite length; tags, which the format does not use, are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import cbor2

from model.datasets.base import Dataset, table_of
from model.datasets.folder import (
    Folder,
    IrregularError,
    Labelled,
    Problems,
    SourceFile,
    build_dataset,
    close_rate,
    compile_pattern,
    fits_float32,
    match_name,
    named_parts,
    named_targets,
    samples,
)
from model.datasets.paths import list_files, resolve
from model.datasets.resample import Resampled, change_rate
from model.datasets.truth import CLASSES, Truth
from model.errors import ConfigError, DataError
from model.recipe import DatasetConfig, EdgeImpulseConfig

MAX_CBOR_BYTES = 16 << 20  # a byte can become a list of 64
MAX_CBOR_DEPTH = 8  # maps and lists; the format has 4
RATE_TOLERANCE = 0.02  # devices round their interval to whole milliseconds
_UNSIGNED = "0" * 64
_HEX = frozenset("0123456789abcdef")
_TYPES: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}

SUFFIXES = (".json", ".cbor")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What every file has to have."""

    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float


def data_files(config: DatasetConfig) -> list[Path]:
    """The files that `load` reads."""
    table = table_of(config.edge_impulse, "edge_impulse")
    return list_files(resolve(table.folder, "dataset.edge_impulse.folder"), SUFFIXES)


def load(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """All .json and .cbor files below [dataset.edge_impulse].folder; their names tell what is true.

    Raises DataError with the file and the place in it for what is not the format, another rate,
    sensors or units than the recipe's, and, with a key, for a signature that is not the file's.
    """
    table = table_of(config.edge_impulse, "edge_impulse")
    pattern = compile_pattern(table.pattern, named_parts(truth), "dataset.edge_impulse.pattern")
    key = _key(table)
    folder = resolve(table.folder, "dataset.edge_impulse.folder")
    found: list[Labelled] = []
    files, done, problems = Folder(folder, SUFFIXES), Resampled(), Problems()
    wanted: _Wanted | None = None
    for file in files:
        with problems.of(file.name):
            parts = match_name(pattern, file.name)
            payload = _payload(file, key)
            wanted = wanted or _wanted(file.name, payload, config)
            rate = _rate(file.name, payload)
            values = samples(_values(file.name, payload, wanted), len(wanted.channels))
            if not close_rate(rate, wanted.rate_hz, RATE_TOLERANCE):
                if config.resample is None:
                    raise _other_rate(file.name, rate, wanted.rate_hz)
                values = change_rate(values, rate, wanted.rate_hz, done, file.name)
            found.append(
                Labelled(
                    values=files.keep(values),
                    label=parts.get("label", ""),
                    group=parts["group"]
                    if "group" in parts
                    else _member(payload, "device_name", str, f"{file.name}: payload"),
                    file=file.name,
                    targets=named_targets(parts, truth, len(values), file.name),
                )
            )
    problems.refuse()
    assert wanted is not None
    return build_dataset(
        found,
        config,
        files.sha256,
        channels=wanted.channels,
        units=wanted.units,
        sample_rate_hz=wanted.rate_hz,
        notes=done.notes(config.resample, wanted.rate_hz) if config.resample else (),
        truth=truth,
    )


def _wanted(name: str, payload: dict[str, Any], config: DatasetConfig) -> _Wanted:
    """The recipe's channels, units and rate; where it has none, those of the first file."""
    units = _sensor_units(name, payload)
    channels = config.channels or tuple(units)
    return _Wanted(
        channels=channels,
        units=config.units or tuple(units.get(c, "?") for c in channels),
        rate_hz=config.sample_rate_hz or float(f"{_rate(name, payload):.6g}"),
    )


def _payload(file: SourceFile, key: bytes | None) -> dict[str, Any]:
    content = _parse_cbor(file) if file.name.lower().endswith(".cbor") else _parse_json(file)
    _check_header(file, content, key)
    payload: dict[str, Any] = _member(content, "payload", dict, file.name)
    return payload


def _key(table: EdgeImpulseConfig) -> bytes | None:
    if not table.hmac_key_variable:
        return None
    key = os.environ.get(table.hmac_key_variable, "")
    if not key:
        raise ConfigError(
            f"dataset.edge_impulse.hmac_key_variable: the environment variable "
            f"{table.hmac_key_variable} is not set; export it with the project's HMAC key, or "
            "write '' to leave signatures unchecked"
        )
    return key.encode()


class _NoTags(Mapping[int, Any]):
    """Decoders of every tag: all of them refuse."""

    def __getitem__(self, tag: int) -> NoReturn:
        raise ValueError(f"tag {tag}, which the format does not use")

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _parse_cbor(file: SourceFile) -> dict[str, Any]:
    if len(file.data) > MAX_CBOR_BYTES:
        raise DataError(
            f"{file.name}: expected at most {MAX_CBOR_BYTES:,} bytes of CBOR, got "
            f"{len(file.data):,}; split the recording"
        )
    if not b"\xa0" <= file.data[:1] <= b"\xbf":
        raise DataError(
            f"{file.name}, byte 0: expected a CBOR map, got {file.data[:1]!r}; if it is JSON, name "
            "it .json"
        )
    stream = io.BytesIO(file.data)
    decoder = cbor2.CBORDecoder(
        stream,
        semantic_decoders=_NoTags(),
        read_size=1,  # so that the stream's place is the decoder's
        max_depth=MAX_CBOR_DEPTH,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )
    try:
        content = decoder.decode()
    except (cbor2.CBORError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise DataError(
            f"{file.name}, byte {stream.tell()}: not whole CBOR: {reason}; the file may be "
            "truncated, download it again"
        ) from error
    if stream.tell() != len(file.data):
        raise DataError(
            f"{file.name}, byte {stream.tell()}: expected the end of the file, got "
            f"{len(file.data) - stream.tell()} bytes more; download it again"
        )
    return dict(content)


def _parse_json(file: SourceFile) -> dict[str, Any]:
    if b"\xa0" <= file.data[:1] <= b"\xbf":
        raise DataError(f"{file.name}, byte 0: expected JSON, got a CBOR map; name it .cbor")
    try:
        content = json.loads(
            file.data.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file.name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}; the "
            "file may be truncated, download it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file.name}: not JSON: {error}; download the file again") from error
    if not isinstance(content, dict):
        raise DataError(f"{file.name}: expected an object, got {_shown(content)}; not this format")
    return content


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"expected numbers, got {text}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError(f"one of the keys {sorted(result)[:20]} is there twice")
    return result


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, (dict, list)) else _TYPES[type(value)]
    return text if len(text) <= 60 else text[:60] + "..."


def _member(table: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = table.get(key)
    if not isinstance(value, kind):
        got = _shown(value) if key in table else "nothing"
        raise DataError(
            f"{where}: {key}: expected {_TYPES[kind]}, got {got}; export the sample again"
        )
    return value


def _check_header(file: SourceFile, content: dict[str, Any], key: bytes | None) -> None:
    """Version and algorithm, and the signature where there is a key."""
    protected = _member(content, "protected", dict, file.name)
    for name, known in (("ver", ("v1",)), ("alg", ("HS256", "none"))):
        if protected.get(name) not in known:
            raise DataError(
                f"{file.name}: protected.{name}: expected {' or '.join(known)}, got "
                f"{_shown(protected.get(name))}; this reader knows version 1 only"
            )
    signature = _member(content, "signature", str, file.name)
    if protected["alg"] == "HS256" and not (len(signature) == 64 and set(signature) <= _HEX):
        raise DataError(
            f"{file.name}: signature: expected 64 hexadecimal digits, got {_shown(signature)}; "
            "export the sample again"
        )
    if key is None:
        return
    if protected["alg"] != "HS256":
        raise DataError(
            f"{file.name}: protected.alg: expected HS256 because a key is given, got 'none'; sign "
            "the file, or write hmac_key_variable = '' in the recipe"
        )
    text = signature.encode()
    if file.data.count(text) != 1:
        raise DataError(f"{file.name}: signature: expected it once in the file; sign it again")
    unsigned = file.data.replace(text, _UNSIGNED.encode())
    expected = hmac.new(key, unsigned, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise DataError(
            f"{file.name}: signature: expected the file's HMAC under the given key, got "
            f"{signature[:12]}...; the file was changed or signed with another key"
        )


def _sensor_units(name: str, payload: dict[str, Any]) -> dict[str, str]:
    """Sensor -> unit, in the file's order."""
    units: dict[str, str] = {}
    for i, sensor in enumerate(_member(payload, "sensors", list, f"{name}: payload")):
        where = f"{name}: payload.sensors[{i}]"
        if not isinstance(sensor, dict):
            raise DataError(f"{where}: expected an object, got {_shown(sensor)}; export again")
        title = _member(sensor, "name", str, where)
        unit = _member(sensor, "units", str, where)
        if not (title.isprintable() and unit.isprintable()):
            raise DataError(
                f"{where}: expected a name and units of printable letters, got {title[:40]!r} and "
                f"{unit[:40]!r}; correct the file"
            )
        if title in units:
            raise DataError(f"{where}: the name {title!r} is there twice; rename one sensor")
        units[title] = unit
    return units


def _sensor_columns(name: str, payload: dict[str, Any], wanted: _Wanted) -> list[int]:
    """The place of each of the wanted channels among the file's sensors; units are equal."""
    units = _sensor_units(name, payload)
    for channel, unit in zip(wanted.channels, wanted.units, strict=False):
        if units.get(channel) != unit:
            got = repr(units[channel]) if channel in units else f"no such one in {list(units)}"
            raise DataError(
                f"{name}: payload.sensors: expected {channel!r} in {unit!r}, got {got}; correct "
                "dataset.channels and units in the recipe"
            )
    return [list(units).index(channel) for channel in wanted.channels]


def _rate(name: str, payload: dict[str, Any]) -> float:
    """Samples a second."""
    _member(payload, "device_type", str, f"{name}: payload")
    interval = payload.get("interval_ms")
    if (
        isinstance(interval, bool)
        or not isinstance(interval, (int, float))
        or not 1e-6 <= interval <= 1e9
    ):
        raise DataError(
            f"{name}: payload.interval_ms: expected milliseconds above 0, got {_shown(interval)}; "
            "export the sample again"
        )
    return 1000 / interval


def _other_rate(name: str, got_hz: float, expected_hz: float) -> IrregularError:
    return IrregularError(
        f"{name}: payload.interval_ms: expected {1000 / expected_hz:g} ms ({expected_hz:g} Hz), "
        f"got {1000 / got_hz:g} ms ({got_hz:.4g} Hz); change dataset.sample_rate_hz in the recipe, "
        "or put a table [dataset.resample] into it, which brings all to one rate"
    )


def _values(name: str, payload: dict[str, Any], wanted: _Wanted) -> list[list[float]]:
    """One list of numbers a sample, in the order of the wanted channels."""
    columns = _sensor_columns(name, payload, wanted)
    rows = _member(payload, "values", list, f"{name}: payload")
    if not rows:
        raise DataError(f"{name}: payload.values: expected samples, got none; record it again")
    count = len(payload["sensors"])
    result = []
    for i, row in enumerate(rows):
        cells = [row] if count == 1 and not isinstance(row, list) else row
        if not isinstance(cells, list) or len(cells) != count:
            raise DataError(
                f"{name}: payload.values[{i}]: expected {count} numbers, one a sensor, got "
                f"{_shown(row) if not isinstance(row, list) else len(row)}; export again"
            )
        for cell in cells:
            if type(cell) not in (int, float) or not fits_float32(cell):
                raise DataError(
                    f"{name}: payload.values[{i}]: expected a number, got {_shown(cell)}; correct "
                    "or remove the file"
                )
        result.append([float(cells[column]) for column in columns])
    return result
