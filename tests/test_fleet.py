"""Drift readings of many boards: what is a reading, and what they say together."""

from __future__ import annotations

import io
import json
import queue
import re
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.cli import main
from host_tools.drift.compare import print_reading
from host_tools.drift.statistics import DriftRow, Verdict
from host_tools.errors import DeviceError, ToolMissing, UsageError
from host_tools.fleet import mqtt
from host_tools.fleet.mqtt import readings_of_broker
from host_tools.fleet.page import fleet_content, print_fleet, write_fleet
from host_tools.fleet.reading import MAX_READING_BYTES, Reading, parse_reading, reading_line
from host_tools.fleet.sources import Raw, readings_of
from host_tools.fleet.store import KEPT_BAD, Store
from model.files import write_json
from tests.documents import ROOT

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)
MODEL, OTHER = "1a" * 32, "2b" * 32
HOSTILE = '<script>alert(1)</script>"\x1b[2J[red]\u202e'


def reading(
    device: str | None = "a",
    day: float = 0,
    *alarms: str,
    model: str = MODEL,
    **changes: Any,
) -> dict[str, Any]:
    tests = ["ax mean", "ax roughness", "ay mean", "gyroscope energy", "classes"]
    tests += [test for test in alarms if test not in tests]
    rows = [
        {"test": t, "psi": 0.4 if t in alarms else 0.01, "usual_psi": 0.02, "p": 0.5,
         "alarm": t in alarms} for t in tests
    ]  # fmt: skip
    at = datetime(2026, 9, 1, 12, tzinfo=timezone.utc) + timedelta(days=day)
    content = {"device": device, "at": at.isoformat(), "board": "nano33", "model_sha256": model,
               "windows": 256, "alarm": bool(alarms), "rows": rows}  # fmt: skip
    return {key: value for key, value in {**content, **changes}.items() if value is not None}


def summed(*contents: dict[str, Any] | bytes) -> dict[str, Any]:
    """What fleet.json says of these readings."""
    raws = [
        Raw("some.jsonl", number, c if isinstance(c, bytes) else json.dumps(c).encode())
        for number, c in enumerate(contents, 1)
    ]
    with Store() as store:
        store.take(raws, NOW)
        store.summary()
        return fleet_content(store, NOW)


def boards(content: dict[str, Any]) -> dict[str, list[tuple[str, list[str], str]]]:
    """Device -> its drifting channels, tests, since when."""
    return {
        b["device"]: [(c["channel"], c["tests"], c["since"]) for c in b["channels"]]
        for b in content["listed"]
        if b["current"]
    }


# --- one reading -------------------------------------------------------------------------------


def test_what_drift_says_is_a_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = DriftRow(test="ax mean", psi=0.5, usual_psi=0.1, p=0.01, alarm=True, g=3.0, naive_p=0.0)
    verdict = Verdict(windows=256, groups=8, alpha=0.05, measured=0.04, at_most=0.4,
                      confidence=0.95, rows=(row,))  # fmt: skip
    told = {**asdict(verdict), "alarm": verdict.alarm, "board": "qemu_m4", "target": "qemu_m4",
            "fed_with": "none", "model_sha256": MODEL}  # fmt: skip
    line = reading_line(told, "press-7", NOW)
    assert "\n" not in line
    found = parse_reading(line.encode(), NOW)
    assert (found.device, found.at, found.rows[0].test) == ("press-7", NOW, "ax mean")
    write_json(tmp_path / "drift.json", told)
    lines: list[bytes] = []
    for device in ("press-7", None):
        stream = io.StringIO()
        print_reading(tmp_path, device, "qemu_m4", stream)
        lines.append(stream.getvalue().encode())
    devices = [parse_reading(line, datetime.now(timezone.utc)).device for line in lines]
    assert devices == ["press-7", f"{socket.gethostname()}:qemu_m4"]


def test_nothing_but_the_reading_is_on_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_boards(source: object, farm: object, task: Any) -> None:
        print("recorded in experiment 1234")
        print("{}", file=task.options["reading_to"])

    monkeypatch.setattr("host_tools.commands.drift.on_boards", on_boards)
    assert main(["drift", "motion", "--json"]) == 0
    assert capsys.readouterr().out == "{}\n"


def test_what_other_processes_print_is_no_reading() -> None:
    script = """
import subprocess
import host_tools.commands.drift as drift
from host_tools.cli import main

def on_boards(source, farm, task):
    subprocess.run(["echo", "of a stage"], check=True)
    print("told")
    print("{}", file=task.options["reading_to"])

drift.on_boards = on_boards
main(["drift", "motion", "--json"])
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "{}\n"
    assert "of a stage\ntold\n" in done.stderr


def test_a_reading_is_of_one_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "motion", "--board", "all", "--json"]) == 2
    assert "a reading is of one board" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": "2026-09-01T12:00:00"}, "at: .*timezone"),
        ({"at": "1970-01-01T00:00:10+00:00"}, "the board's clock is not set"),
        ({"at": "2027-01-01T00:00:00+00:00"}, "lies in the future"),
        ({"model_sha256": "1a2b"}, "model_sha256: .*pattern"),
        ({"windows": 0}, "windows: .*greater than or equal to 1"),
        ({"alarm": True}, "alarm is true, which its rows are not"),
        ({"rows": []}, "rows: .*at least 1"),
        ({"rows": [{"test": "a"}]}, r"rows\.0\.psi: Field required"),
        ({"device": "x" * 129}, "device: .*at most 128"),
        ({"board": ""}, "board: .*at least 1"),
        ({"board": None}, "board: Field required"),
    ],
)
def test_what_is_no_reading_says_why(change: dict[str, Any], message: str) -> None:
    text = json.dumps(reading(**change)).encode()
    with pytest.raises(ValueError, match=message):
        parse_reading(text, NOW)


def test_rows_have_finite_values_and_names_of_their_own() -> None:
    good = reading()
    for name, value in (("psi", float("nan")), ("psi", -1), ("p", 1.5), ("usual_psi", "x")):
        rows = [{**good["rows"][0], name: value}]
        with pytest.raises(ValueError, match=rf"rows\.0\.{name}"):
            parse_reading(json.dumps(reading(rows=rows)).encode(), NOW)
    with pytest.raises(ValueError, match="two rows of one test"):
        parse_reading(json.dumps(reading(rows=[good["rows"][0]] * 2)).encode(), NOW)


@given(text=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)))
def test_any_bytes_are_refused_by_value_errors_alone(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_reading(text, NOW)


def test_the_document_tells_every_field_and_its_example_is_one() -> None:
    text = (ROOT / "docs" / "FLEET.md").read_text("utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    parse_reading(example.encode(), NOW)
    schema = Reading.model_json_schema()
    names = {*schema["properties"], *schema["$defs"]["TestReading"]["properties"]}
    assert names <= set(re.findall(r"(?m)^\| `(\w+)`", text))


# --- many of them ------------------------------------------------------------------------------


def test_since_when_is_the_first_alarm_that_has_not_ended() -> None:
    history = [
        reading("a", 0, "ax mean"),
        reading("a", 1),
        reading("a", 2, "ax mean"),
        reading("a", 3, "ax mean", "ax roughness", "gyroscope energy"),
        reading("b", 0, "ay mean"),
        reading("b", 9),
        reading("c", 5, "classes"),
    ]
    expected = {
        "a": [
            ("ax", ["mean", "roughness"], "2026-09-03 12:00"),
            ("gyroscope", ["energy"], "2026-09-04 12:00"),
        ],
        "b": [],
        "c": [("classes", [], "2026-09-06 12:00")],
    }
    found = summed(*history)
    assert boards(found) == expected
    assert (found["boards"], found["drifting"], found["readings"]) == (3, 2, 7)
    assert found["channels"] == [["ax", 1], ["classes", 1], ["gyroscope", 1]]
    assert [board["device"] for board in found["listed"]] == ["a", "c", "b"]
    backwards = summed(*history[::-1])
    assert boards(backwards) == expected
    assert backwards["clock_back"] == 4  # three of a, one of b


def test_readings_that_came_twice_count_once() -> None:
    one = reading("a", 0, "ax mean")
    again = json.dumps({**one, "at": "2026-09-01T14:00:00+02:00", "more": 1}).encode()
    found = summed(one, one, again, reading("a", 1, "ax mean"))
    assert (found["readings"], found["duplicates"]) == (2, 2)
    assert found["clock_back"] == 0


def test_readings_of_another_model_do_not_count_for_what_is_now() -> None:
    found = summed(
        reading("a", 0, "ax mean"),
        reading("a", 1, model=OTHER),
        reading("b", 0, model=OTHER),
        reading("b", 1, "ay mean"),
    )
    assert boards(found) == {"b": [("ay", ["mean"], "2026-09-02 12:00")], "a": []}
    assert (found["boards"], found["former"]) == (2, 2)
    assert dict(found["models"]) == {MODEL: 1, OTHER: 1}


def test_boards_without_a_name_are_told_apart_by_their_kind_only() -> None:
    found = summed(
        reading(None, 0, "ax mean"), reading("", 1, "ax mean"), reading("", 2, board="esp32")
    )
    assert [(b["device"], b["board"]) for b in found["listed"]] == [("", "nano33"), ("", "esp32")]
    assert found["unnamed"] == 3


def test_bad_lines_are_counted_named_and_left_out(tmp_path: Path) -> None:
    bad = [b"{", b"[]", b"null", b"\xff\xfe", b"{}" * 100]
    found = summed(reading("a"), *bad, reading("b"), *[b"x"] * (KEPT_BAD + 5))
    assert (found["readings"], found["bad"]) == (2, KEPT_BAD + 10)
    assert len(found["bad_lines"]) == KEPT_BAD
    assert [line["line"] for line in found["bad_lines"][:5]] == [2, 3, 4, 5, 6]
    assert all(line["file"] == "some.jsonl" and line["why"] for line in found["bad_lines"])
    page = write_fleet(found, tmp_path).read_text("utf-8")
    assert 'class="verdict differs"' in page
    told = f"no drift on 2 boards in 2 readings; {KEPT_BAD + 10} lines could not be read"
    assert f'<p class="headline">{told}' in page
    assert 'class="verdict equal"' in write_fleet(summed(reading("a")), tmp_path).read_text("utf-8")


def test_hostile_names_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = summed(
        reading(HOSTILE, 0, f"{HOSTILE} mean", board=HOSTILE),
        reading("[red]x", 0, "[bold] mean"),
        json.dumps(HOSTILE).encode(),
    )
    page = write_fleet(found, tmp_path).read_text("utf-8")
    print_fleet(found)
    shown = capsys.readouterr().out
    assert "<script>" not in page
    for text in (page, shown):
        assert not {"\x1b", "\u202e"} & set(text)
    assert "[red]x" in shown and "[bold]: mean" in shown
    assert json.loads((tmp_path / "fleet.json").read_text("utf-8"))["drifting"] == 2


# --- where they come from ----------------------------------------------------------------------


def test_a_folder_a_file_and_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").mkdir()
    one = json.dumps(reading("a")).encode()
    (tmp_path / "b" / "one.json").write_bytes(json.dumps(reading("a"), indent=1).encode())
    (tmp_path / "many.jsonl").write_bytes(one + b"\n\n" + b"x" * 2 * MAX_READING_BYTES + b"\nlast")
    (tmp_path / "notes.txt").write_text("no reading")
    found = [(Path(raw.file).name, raw.line) for raw in readings_of(str(tmp_path))]
    assert found == [("one.json", 1), ("many.jsonl", 1), ("many.jsonl", 3), ("many.jsonl", 4)]
    last = [raw.text for raw in readings_of(str(tmp_path / "many.jsonl"))]
    assert last[0].strip() == one and last[2] == b"last"
    assert len(last[1]) == MAX_READING_BYTES + 1
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(one + b"\n" + one)))
    assert [raw.line for raw in readings_of("-")] == [1, 2]
    (tmp_path / "empty").mkdir()
    for place in ("nowhere", str(tmp_path / "empty")):
        with pytest.raises(UsageError):
            list(readings_of(place))


@pytest.mark.parametrize(
    ("contents", "code", "told"),
    [
        ([reading("a"), reading("b")], 0, "no drift on 2 boards in 2 readings"),
        ([reading("a", 0, "ax mean"), reading("b")], 1, "1 of 2 boards drift in 2 readings"),
        ([reading("a"), "nonsense"], 1, "readings.jsonl:2: Invalid JSON"),
        ([], 2, "no reading"),
    ],
)
def test_the_exit_code_tells(
    contents: list[Any], code: int, told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [c if isinstance(c, str) else json.dumps(c) for c in contents]
    (tmp_path / "readings.jsonl").write_text("\n".join(lines))
    arguments = ["fleet", "--readings", str(tmp_path / "readings.jsonl")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == code
    out, err = capfd.readouterr()
    assert told in out + err
    assert (tmp_path / "out" / "fleet.html").is_file() == (code != 2)


MEASURED = """
import json, resource, sys
from datetime import datetime, timezone
from host_tools.fleet.sources import Raw
from host_tools.fleet.store import Store
from tests.test_fleet import NOW, reading
def raws(count):
    for number in range(count):
        yield Raw("x", number, json.dumps(reading(f"d{number % 100}", number / 10000)).encode())
with Store() as store:
    store.take(raws(int(sys.argv[1])), NOW)
    store.summary()
    assert store.totals.readings == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_readings() -> None:
    """SQLite has 8 MiB, which the first has filled; beyond them only the boards count."""
    peaks = [
        int(subprocess.run([sys.executable, "-c", MEASURED, str(count)], cwd=ROOT, check=True,
                           capture_output=True, text=True, timeout=300).stdout)
        for count in (40_000, 120_000)
    ]  # fmt: skip
    assert peaks[1] - peaks[0] < 16 * 1024, peaks  # KiB


def test_a_full_disk_is_told_as_of_any_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take = Store.take

    def on_a_full_disk(self: Store, *what: Any) -> None:
        self._base.execute("PRAGMA max_page_count = 12")
        take(self, *what)

    monkeypatch.setattr(Store, "take", on_a_full_disk)
    lines = [json.dumps(reading(f"d{number}")) for number in range(2000)]
    (tmp_path / "many.jsonl").write_text("\n".join(lines))
    assert main(["fleet", "--readings", str(tmp_path / "many.jsonl")]) == 2
    told = capsys.readouterr().err
    assert "no space left on its disk" in told and "TMPDIR" in told


def test_a_usual_psi_of_almost_nothing_has_no_endless_ratio(tmp_path: Path) -> None:
    rows = [{"test": "ax mean", "psi": 1e308, "usual_psi": 1e-300, "p": 0.0, "alarm": True}]
    content = summed(reading("a", 0, "ax mean", rows=rows))
    write_fleet(content, tmp_path)
    told = json.loads((tmp_path / "fleet.json").read_text())
    assert told["listed"][0]["channels"][0]["ratio"] == 1e9


# --- a broker ----------------------------------------------------------------------------------


class Broker:
    """In the place of paho-mqtt: a client whose broker sends `payloads` to who has subscribed."""

    payloads: tuple[bytes, ...] = ()
    refuses = False

    class CallbackAPIVersion:
        VERSION2 = 2

    class Client:
        def __init__(self, version: int) -> None:
            assert version == 2
            self.on_connect: Any = None
            self.on_message: Any = None
            self.calls: list[tuple[Any, ...]] = []
            self._topics: queue.Queue[str | None] = queue.Queue()
            self._thread = threading.Thread(target=self._run, daemon=True)
            Broker.last = self

        def username_pw_set(self, user: str, password: str | None) -> None:
            self.calls.append(("user", user, password))

        def tls_set(self) -> None:
            self.calls.append(("tls",))

        def connect(self, host: str, port: int, keepalive: int) -> None:
            self.calls.append(("connect", host, port))
            if host == "nobody":
                raise ConnectionRefusedError("refused")

        def subscribe(self, topic: str, qos: int) -> None:
            self.calls.append(("subscribe", topic, qos))
            self._topics.put(topic)

        def loop_start(self) -> None:
            self._thread.start()

        def disconnect(self) -> None:
            self._topics.put(None)

        def loop_stop(self) -> None:
            self._thread.join(20)
            assert not self._thread.is_alive()

        def _run(self) -> None:
            told = types.SimpleNamespace(is_failure=Broker.refuses)
            self.on_connect(self, None, None, told, None)
            while topic := self._topics.get():
                for payload in Broker.payloads:
                    message = types.SimpleNamespace(topic=topic, payload=payload)
                    self.on_message(self, None, message)

    last: Client


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Broker]]:
    package = types.ModuleType("paho")
    inside = types.ModuleType("paho.mqtt")
    inside.client = Broker  # type: ignore[attr-defined]
    package.mqtt = inside  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "paho", package)
    monkeypatch.setitem(sys.modules, "paho.mqtt", inside)
    monkeypatch.setattr(Broker, "payloads", ())
    monkeypatch.setattr(Broker, "refuses", False)
    return iter([Broker])


def test_a_broker_gives_readings_for_a_while(
    broker: Iterator[type[Broker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broker, "payloads", (b"one", b"x" * (MAX_READING_BYTES + 9)))
    monkeypatch.setenv(mqtt.PASSWORD, "secret")
    found = list(readings_of_broker("mqtts://ann@there/fleet/+/drift/#", 1.0))
    assert [(raw.file, raw.line) for raw in found] == [
        ("topic fleet/+/drift/#", 1),
        ("topic fleet/+/drift/#", 2),
    ]
    assert [len(raw.text) for raw in found] == [3, MAX_READING_BYTES + 1]
    assert Broker.last.calls == [
        ("user", "ann", "secret"),
        ("tls",),
        ("connect", "there", 8883),
        ("subscribe", "fleet/+/drift/#", 1),
    ]


def test_a_broker_that_floods_does_not_hold_the_end(
    broker: Iterator[type[Broker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread waits for room in a full inbox when nobody reads any more."""
    monkeypatch.setattr(mqtt, "WAITING", 4)
    monkeypatch.setattr(Broker, "payloads", (b"one",) * 100)
    stream = readings_of_broker("mqtt://there/all", 30.0)
    assert next(stream).text == b"one"
    stream.close()  # type: ignore[attr-defined]


def test_brokers_that_do_not_answer(
    broker: Iterator[type[Broker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, message in (
        ("mqtt://there", "expected mqtt://host/topic"),
        ("mqtt:///topic", "expected mqtt://host/topic"),
        ("mqtt://there:x/topic", "Port could not be cast"),
    ):
        with pytest.raises(UsageError, match=message):
            list(readings_of_broker(url, 1.0))
    with pytest.raises(DeviceError, match="no broker answers there"):
        list(readings_of_broker("mqtt://nobody/topic", 1.0))
    monkeypatch.setattr(Broker, "refuses", True)
    with pytest.raises(DeviceError, match="the broker refuses"):
        list(readings_of_broker("mqtt://there/topic", 1.0))


def test_without_paho_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    with pytest.raises(ToolMissing, match=r"pip install 'tinyproof\[mqtt\]'"):
        list(readings_of_broker("mqtt://there/topic", 1.0))
