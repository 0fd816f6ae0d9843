"""Edge Impulse's JSON and CBOR: what is good is read exactly, what is wrong has its place."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.datasets import edge_impulse, load_dataset
from model.errors import ConfigError, DataError
from model.recipe import DatasetConfig, EdgeImpulseConfig
from tests.sources import source_config

KEY = b"a key for tests"


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
        hmac_key_variable="TEST_HMAC_KEY",
    )
    own = {f.name for f in dataclasses.fields(table)}
    common: dict[str, Any] = {
        "labels": ("idle", "wave"),
        "channels": ("accY", "accX"),
        "units": ("m/s2", "m/s2"),
        "sample_rate_hz": 62.5,
        **{k: v for k, v in changes.items() if k not in own},
    }
    inside = {k: v for k, v in changes.items() if k in own}
    return source_config("edge_impulse", dataclasses.replace(table, **inside), **common)


@pytest.fixture
def ei(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEST_HMAC_KEY", KEY.decode())
    (tmp_path / "idle.1.json").write_text(_signed(_sample()))
    (tmp_path / "wave.2.json").write_text(_signed(_sample(7)))
    return tmp_path


def test_edge_impulse_is_read_and_its_signature_checked(ei: Path) -> None:
    dataset = load_dataset(_ei_config(ei))
    assert dataset.group_names == ("ac:87:a3:0a:2d:1b",)
    assert dataset.recordings[1].values.tolist() == [[1, 7], [2, 7.5], [-4.25, 3]]
    named = _ei_config(ei, pattern=r"(?P<label>[a-z]+)\.(?P<group>\w+)\.json")
    assert load_dataset(named).group_names == ("1", "2")


def test_a_mark_of_byte_order_is_passed_by(ei: Path) -> None:
    path = ei / "idle.1.json"
    unsigned = json.dumps(_sample()).encode("utf-8-sig")
    signature = hmac.new(KEY, unsigned, hashlib.sha256).hexdigest()
    path.write_bytes(unsigned.replace(b"0" * 64, signature.encode()))
    assert load_dataset(_ei_config(ei)).recordings[0].values.tolist() == [
        [1, 0],
        [2, 0.5],
        [-4.25, 3],
    ]


def test_one_sensor_may_have_plain_numbers(ei: Path) -> None:
    for name in ("idle.1", "wave.2"):
        sensors = [{"name": "audio", "units": "wav"}]
        sample = _sample(sensors=sensors, values=[1, -2, len(name), ord(name[0])])
        (ei / f"{name}.json").write_text(_signed(sample))
    config = _ei_config(ei, channels=("audio",), units=("wav",))
    assert load_dataset(config).recordings[0].values.tolist() == [[1], [-2], [6], [105]]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"interval_ms": 10}, r"interval_ms: expected 16 ms \(62.5 Hz\), got 10 ms \(100 Hz\)"),
        ({"interval_ms": "16"}, "interval_ms: expected milliseconds above 0, got '16'"),
        ({"interval_ms": 0}, "interval_ms: expected milliseconds above 0, got 0"),
        ({"device_name": 3}, "device_name: expected a string, got 3"),
        ({"device_name": ""}, "group '', expected a name of printable letters"),
        ({"device_name": "\ud800"}, r"group '.ud800', expected a name of printable letters"),
        ({"device_type": None}, "device_type: expected a string, got None"),
        ({"sensors": {}}, "sensors: expected a list, got an object"),
        (
            {"sensors": [{"name": "a\x1b[2J", "units": "g"}]},
            r"sensors\[0\]: expected a name and units of printable letters, got 'a.x1b\[2J'",
        ),
        (
            {"sensors": [{"name": "accX", "units": "m\0"}]},
            r"sensors\[0\]: expected a name and units of printable letters, got 'accX' and 'm.x00'",
        ),
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
        load_dataset(_ei_config(ei))


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
        load_dataset(_ei_config(ei))


def test_without_a_key_signatures_are_not_checked(ei: Path) -> None:
    (ei / "wave.2.json").write_text(json.dumps(_sample(7)))
    assert len(load_dataset(_ei_config(ei, hmac_key_variable="")).recordings) == 2
    with pytest.raises(ConfigError, match="variable NO_KEY_HERE is not set"):
        load_dataset(_ei_config(ei, hmac_key_variable="NO_KEY_HERE"))


def test_a_class_without_files_is_found(ei: Path) -> None:
    (ei / "wave.2.json").unlink()
    with pytest.raises(DataError, match="class 'wave' has no recordings, expected .*add recordi"):
        load_dataset(_ei_config(ei))


def _cbor(value: Any) -> bytes:
    """RFC 8949 of what the format needs, with lists of indefinite length as devices write them."""

    def head(major: int, number: int) -> bytes:
        if number < 24:
            return bytes([major << 5 | number])
        extra, size = next((e, s) for e, s in ((24, 1), (25, 2), (26, 4)) if number < 1 << 8 * s)
        return bytes([major << 5 | extra]) + number.to_bytes(size, "big")

    if isinstance(value, dict):
        pairs = (_cbor(k) + _cbor(v) for k, v in value.items())
        return head(5, len(value)) + b"".join(pairs)
    if isinstance(value, list):
        return b"\x9f" + b"".join(map(_cbor, value)) + b"\xff"
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    return head(0, value) if value >= 0 else head(1, -1 - value)


def _signed_cbor(content: dict[str, Any], key: bytes = KEY) -> bytes:
    data = _cbor(content)
    return data.replace(b"0" * 64, hmac.new(key, data, hashlib.sha256).hexdigest().encode())


def _cbor_config(path: Path, **changes: Any) -> DatasetConfig:
    return _ei_config(path, pattern=r"(?P<label>[a-z]+)\.\w+\.(json|cbor)", **changes)


def test_cbor_gives_the_same_recordings_as_json(ei: Path) -> None:
    json_values = [r.values.tolist() for r in load_dataset(_ei_config(ei)).recordings]
    (ei / "wave.2.json").unlink()
    (ei / "wave.2.cbor").write_bytes(_signed_cbor(_sample(7)))
    dataset = load_dataset(_cbor_config(ei))
    assert [r.values.tolist() for r in dataset.recordings] == json_values
    assert dataset.units == ("m/s2", "m/s2")
    assert dataset.recordings[1].name == "wave.2.cbor"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b[:-1], r"byte \d+: not whole CBOR: premature end.*truncated, download"),
        (lambda b: b[:40], "byte 40: not whole CBOR: premature end"),
        (lambda b: b.replace(b"TEST", b"TEXT"), "signature: expected the file's HMAC"),
        (lambda b: _signed_cbor(_sample(7), b"another key"), "signed with another key"),
        (lambda b: _cbor(_sample(7)), "signature: expected the file's HMAC .*got 000000000000"),
        (lambda b: b + b"\x00", r"byte \d+: expected the end of the file, got 1 bytes more"),
        (lambda b: b"\xa1\x61a\xc2\x41\x01", "byte 4: not whole CBOR: .*tag 2, which the format"),
        (lambda b: b"\xa1\x61a\xd8\x1c\x80", "byte 5: not whole CBOR: .*tag 28"),
        (lambda b: b"\xd9\xd9\xf7" + b, r"byte 0: expected a CBOR map, got b'\\xd9'"),
        (lambda b: b"\xa1\x61a" + b"\x81" * 100_000, r"byte 1\d: not whole CBOR: .*depth \(8\)"),
        (lambda b: b"\xa1\x61a\x9b" + b"\xff" * 8, "byte 12: not whole CBOR: "),
        (lambda b: b"\xa1\x61a\x7b\x7f" + b"\xff" * 7, "byte 12: not whole CBOR: premature end"),
        (lambda b: b"\xbb" + b"\x7f" * 8, "byte 9: not whole CBOR: premature end"),
        (lambda b: b"\xa2\x61a\x01\x61a\x02", "not whole CBOR: .*Duplicate map key"),
        (lambda b: b"\xa1\x01\x02", "not whole CBOR: .*map key must be a text"),
        (lambda b: b"\xa1\x61a\x61\xff", "not whole CBOR: error decoding text string"),
        (lambda b: b"\xa0", "protected: expected an object, got nothing"),
        (lambda b: json.dumps(_sample(7)).encode(), r"expected a CBOR map, got b'\{'.*name it .js"),
        (lambda b: b"", "byte 0: expected a CBOR map, got b''"),
        (
            lambda b: _signed_cbor(_sample(values=[[1, 2], [float("nan"), 4]])),
            r"values\[1\]: expected a number, got nan",
        ),
        (
            lambda b: _signed_cbor(_sample(interval_ms=10.0)),
            r"interval_ms: expected 16 ms \(62.5 Hz\), got 10 ms",
        ),
    ],
)
def test_bad_cbor_says_what_and_where(
    change: Callable[[bytes], bytes], words: str, ei: Path
) -> None:
    (ei / "wave.2.json").unlink()
    (ei / "wave.2.cbor").write_bytes(change(_signed_cbor(_sample(7))))
    with pytest.raises(DataError, match=rf"wave\.2\.cbor.*{words}"):
        load_dataset(_cbor_config(ei))


def test_cbor_has_its_name_and_a_bounded_size(ei: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ei / "wave.2.json").write_bytes(_signed_cbor(_sample(7)))
    with pytest.raises(DataError, match=r"wave\.2\.json, byte 0: expected JSON, got a CBOR map; n"):
        load_dataset(_cbor_config(ei))
    (ei / "wave.2.json").rename(ei / "wave.2.cbor")
    monkeypatch.setattr(edge_impulse, "MAX_CBOR_BYTES", 100)
    with pytest.raises(DataError, match=r"wave\.2\.cbor: expected at most 100 bytes of CBOR, got"):
        load_dataset(_cbor_config(ei))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_cbor_raises_our_error_only(data: st.DataObject, ei: Path) -> None:
    content = bytearray(_signed_cbor(_sample(7)))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (ei / "wave.2.json").unlink(missing_ok=True)
    (ei / "wave.2.cbor").write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(DataError):
        load_dataset(_cbor_config(ei, hmac_key_variable=""))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_json_raises_our_error_only(data: st.DataObject, ei: Path) -> None:
    text = bytearray(_signed(_sample(7)).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    (ei / "wave.2.json").write_bytes(text[: data.draw(st.integers(1, len(text)))])
    with contextlib.suppress(DataError):
        load_dataset(_ei_config(ei, hmac_key_variable=""))
