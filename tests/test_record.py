"""Recording: what arrives in the files, and every way in which nothing must be written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.boards.board import BOARDS_DIR, load_board
from host_tools.cli import main
from host_tools.emulators import EMULATORS
from host_tools.emulators.native import Native
from host_tools.errors import DeviceError, UsageError
from host_tools.link import record
from host_tools.link.device import Device
from host_tools.link.protocol import Channel, Sensor, Take
from host_tools.link.target import Target, choose_target
from host_tools.link.transport import Transport
from host_tools.stages import session
from model.datasets.edge_impulse import load
from model.errors import DataError
from model.recipe import EdgeImpulseConfig
from tests.faulty import Fault, FaultKind, FaultyTransport
from tests.firmware_builds import built, built_with_features
from tests.native_app import FIRMWARE, compile_app, stub_with_features
from tests.sources import source_config

CHANNELS = ("ax", "ay", "az", "wx", "wy", "wz")
UNITS = ("g",) * 3 + ("rad/s",) * 3
LSB = (0.000732,) * 3 + (0.00122173,) * 3
RATE_HZ = 59.5
COUNT = 600
SAMPLES = np.random.default_rng(3).integers(-32768, 32768, (COUNT, 6)).astype(np.int16)
REPLAYING = ("native", "qemu_m4", "qemu_riscv32", "qemu_xtensa")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.npz"
    write_npz(path)
    return path


def write_npz(path: Path, **changes: Any) -> Path:
    arrays: dict[str, Any] = {
        "samples": SAMPLES,
        "rate_hz": RATE_HZ,
        "channels": np.array(CHANNELS),
        "units": np.array(UNITS),
        "lsb": np.array(LSB),
    } | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def take(
    board_id: str,
    folder: Path,
    replay: Path | None,
    *,
    target: Target | None = None,
    **options: Any,
) -> Path:
    """One take of the firmware with a front end."""
    board = load_board(board_id)
    target = target or choose_target(board, None, None)
    target = record.with_replay(target, replay) if replay else target
    settings = {"label": "wave", "who": "ann", "seconds": 8.0, "folder": folder / "out"} | options
    return record.record_take(board, target, built_with_features(board_id), **settings)


def read_back(folder: Path, key_variable: str = "") -> Any:
    """The folder's files through the reader of recipes."""
    table = EdgeImpulseConfig(
        folder=str(folder),
        pattern=r"(?P<label>\w+)\.(?P<group>[\w-]+)\.\d+\.json",
        hmac_key_variable=key_variable,
    )
    return load(
        source_config(
            "edge_impulse", table, labels=("wave",), channels=CHANNELS, units=UNITS,
            sample_rate_hz=RATE_HZ,
        )
    )  # fmt: skip


@pytest.mark.parametrize("board_id", REPLAYING)
def test_what_was_measured_is_what_a_recipe_reads(
    board_id: str, recording: Path, tmp_path: Path
) -> None:
    path = take(board_id, tmp_path, recording)
    assert path == tmp_path / "out" / "wave.ann.0001.json"
    dataset = read_back(tmp_path / "out")
    (found,) = dataset.recordings
    count = round(8 * RATE_HZ)
    expected = (SAMPLES[:count].astype(np.float64) * LSB).astype(np.float32)
    assert found.values.shape == (count, 6)
    assert np.array_equal(found.values, expected)
    assert np.array_equal(np.rint(found.values / np.float64(LSB)), SAMPLES[:count])
    assert (dataset.labels, dataset.group_names) == (("wave",), ("ann",))


def test_a_value_has_all_its_digits() -> None:
    channel = Channel(name="x", unit="u", lsb_nano=1)
    sensor = Sensor(rate_millihertz=1000, channels=(channel,))
    samples = np.array([[-32768], [-1], [0], [1], [100]], np.int16)
    text = record.take_text(sensor, samples, device_type="t", who="w", key=b"")
    assert "[[-0.000032768], [-0.000000001], [0], [0.000000001], [0.0000001]]" in text
    assert json.loads(text)["payload"]["device_name"] == "w"


def test_takes_are_numbered_and_a_gap_is_filled(recording: Path, tmp_path: Path) -> None:
    names = [take("native", tmp_path, recording, seconds=s).name for s in (1, 2, 3)]
    assert names == [f"wave.ann.000{n}.json" for n in (1, 2, 3)]
    (tmp_path / "out" / names[1]).unlink()
    assert take("native", tmp_path, recording, seconds=4).name == names[1]
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_key_signs_and_the_reader_checks(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(record.KEY_VARIABLE, "secret")
    path = take("native", tmp_path, recording)
    assert len(read_back(tmp_path / "out", record.KEY_VARIABLE).recordings) == 1
    text = path.read_text()
    path.write_text(text.replace('"ann"', '"eve"'))
    with pytest.raises(DataError, match="signature: expected the file's HMAC"):
        read_back(tmp_path / "out", record.KEY_VARIABLE)
    path.write_text(text)
    monkeypatch.setenv(record.KEY_VARIABLE, "another")
    with pytest.raises(DataError, match="signature: expected the file's HMAC"):
        read_back(tmp_path / "out", record.KEY_VARIABLE)


def test_without_a_key_nothing_is_signed(recording: Path, tmp_path: Path) -> None:
    content = json.loads(take("native", tmp_path, recording).read_text())
    assert (content["protected"]["alg"], content["signature"]) == ("none", "")


@pytest.mark.parametrize("board_id", REPLAYING)
def test_a_recording_that_ends_too_early_leaves_nothing(
    board_id: str, recording: Path, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError, match=r"nothing was written: .*ended.* SECONDS=10\.08"):
        take(board_id, tmp_path, recording, seconds=20)
    assert not (tmp_path / "out").exists()


FAULTY_PORTS = [
    # a text of firmware/board/replay/sensor.c, what replaces it, the message
    ("if (count < capacity) {", "if (1) { *state |= BOARD_SENSOR_OVERRUN;", "samples were lost"),
    ("if (count < capacity) {", "if (1) { *state |= BOARD_SENSOR_FAILED;", "does not answer"),
    ("* bytes) / bytes;", "* bytes) / bytes * 0; return count;", "no sample for 0.3 s"),
]


@pytest.mark.parametrize(("old", "new", "message"), FAULTY_PORTS)
def test_a_sensor_that_fails_leaves_nothing(
    old: str,
    new: str,
    message: str,
    recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record, "STALL_S", 0.3)
    port = FIRMWARE / "board" / "replay" / "sensor.c"
    changed = port.read_text().replace(old, new)
    assert changed != port.read_text()
    compile_app(tmp_path, stub_with_features(tmp_path), replay=changed)
    board = load_board("native")
    target = record.with_replay(choose_target(board, None, None), recording)
    with pytest.raises(DeviceError, match=f"nothing was written: .*{message}"):
        record.record_take(
            board, target, tmp_path, label="a", who="b", seconds=1, folder=tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


class _Damaged(Native):
    """The native emulator behind a line that damages what it carries."""

    __slots__ = ("faults",)

    def start(self, elf: Path) -> Transport:
        reads = [Fault(kind=FaultKind.FLIP, at=3000, mask=0x20)]
        reads += [Fault(kind=FaultKind.DROP, at=5000, count=9)]
        writes = [Fault(kind=FaultKind.FLIP, at=90, mask=0x01)]
        return FaultyTransport(super().start(elf), on_read=reads, on_write=writes)


def test_a_damaged_line_loses_no_sample(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device.__init__, "__kwdefaults__", {
        "timeout_s": 0.3, "run_timeout_s": 10.0, "start_s": 10.0,
    })  # fmt: skip
    target = Target(emulator=_Damaged(replay=record.read_replay(recording)), port=None)
    take("native", tmp_path, None, target=target)
    (found,) = read_back(tmp_path / "out").recordings
    assert np.array_equal(np.rint(found.values / np.float64(LSB)), SAMPLES[: len(found.values)])


def test_samples_that_the_line_skips_are_noticed(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Device.record_read

    def skipping(self: Device, following: int, channels: int) -> Take:
        found = real(self, following, channels)
        return Take(first=found.first + (following > 0), state=found.state, samples=found.samples)

    monkeypatch.setattr(Device, "record_read", skipping)
    with pytest.raises(DeviceError, match="nothing was written: samples were lost"):
        take("native", tmp_path, recording)


def test_a_board_without_a_sensor_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"board native has no sensor; give it.* REPLAY=file.npz"):
        take("native", tmp_path, None)
    with pytest.raises(UsageError, match=r"board esp32 has no sensor.*its firmware reads MPU-6050"):
        take("esp32", tmp_path, None)


def test_firmware_that_cannot_record_says_what_to_do(tmp_path: Path, recording: Path) -> None:
    board = load_board("qemu_m4")
    target = record.with_replay(choose_target(board, None, None), recording)
    folder = built("qemu_m4")[0]
    with pytest.raises(UsageError, match=r"cannot record: .*make flash RECIPE=motion BOARD=qemu"):
        record.record_take(
            board, target, folder, label="a", who="b", seconds=1, folder=tmp_path / "out"
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": ""}, "LABEL=''"),
        ({"label": "../x"}, r"LABEL='\.\./x': expected 1 to 64 letters"),
        ({"who": "a b"}, "WHO='a b'"),
        ({"label": "x" * 65}, "LABEL="),
        ({"seconds": 0}, "SECONDS=0: expected more than 0"),
        ({"seconds": float("nan")}, "SECONDS=nan"),
        ({"seconds": 3601}, "SECONDS=3601: .*at most 3600"),
    ],
)
def test_wrong_words_are_refused_before_anything_starts(
    options: dict[str, Any], message: str, recording: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        take("native", tmp_path, recording, **options)
    assert not (tmp_path / "out").exists()


WRONG_FILES: list[tuple[dict[str, Any], str]] = [
    ({"samples": SAMPLES.astype(np.int32)}, "samples are int32"),
    ({"samples": SAMPLES[0]}, r"samples are int16 \(6,\)"),
    ({"samples": SAMPLES[:, :5]}, "5 channels of samples, 6 names"),
    ({"samples": None}, "samples"),
    ({"lsb": np.array([1.0])}, "channels of samples"),
    ({"lsb": np.array([5.0] * 6)}, "5000000000"),
    ({"lsb": np.array([-1.0] * 6)}, "-1000000000"),
    ({"lsb": np.array([np.inf] * 6)}, "infinity"),
    ({"rate_hz": np.array(np.nan)}, "NaN"),
    ({"rate_hz": np.array([1.0, 2.0])}, "only"),
    ({"units": np.array(["m/s2 or so too long"] * 6)}, "names have up to 12 letters"),
    ({"channels": np.array([object()] * 6)}, "objects are pickles"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_FILES)
def test_a_wrong_replay_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "wrong.npz", **changes)
    with pytest.raises(UsageError, match=f"wrong.npz: not a recording to replay: .*{message}"):
        record.read_replay(path)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_a_replay_that_is_no_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a recording to replay"):
        record.read_replay(path)
    with pytest.raises(UsageError, match="not a recording to replay"):
        record.read_replay(tmp_path / "absent.npz")


def test_a_board_that_cannot_replay_says_which_can(recording: Path) -> None:
    with pytest.raises(UsageError, match="labwired_esp32 does not replay.*BOARD=qemu_m4"):
        record.with_replay(choose_target(load_board("esp32"), None, None), recording)


def test_the_command_writes_below_build(
    recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "build" / "recipes" / "motion"
    folder.mkdir(parents=True)
    (folder / "native").symlink_to(built_with_features("native"))
    monkeypatch.setattr(session, "update", lambda *_: False)  # the firmware is there
    line = ["record", "motion", "--board", "native", "--project", str(tmp_path), "--label", "wave"]
    line += ["--seconds", "2", "--replay"]
    assert main([*line, str(recording)]) == 0
    path = Path("build/recordings/wave/wave.native.0001.json")
    assert f"native on native: 2 s of wave: {path}" in capsys.readouterr().out
    assert len(json.loads((tmp_path / path).read_text())["payload"]["values"]) == 119
    assert main([*line, str(tmp_path / "absent.npz")]) == 2
    line[line.index("2")] = "20"
    assert main([*line, str(recording)]) == 3


class _Simulated:
    """The Nano in the simulator, in this process, so that its sensor's inputs can be set."""

    name = "labwired"

    def __init__(self, sim: Any) -> None:
        self.sim = sim

    def write(self, data: bytes) -> None:
        self.sim.send_bytes(data)

    def read(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while True:
            self.sim.run_for("2ms")
            if (data := bytes(self.sim.read_uart_bytes())) or time.monotonic() >= deadline:
                return data

    def close(self) -> None:
        self.sim.close()


INPUTS: list[tuple[dict[str, float], list[int]]] = [
    ({"ax": 0.5, "ay": -0.25, "az": 1.0}, [683, -342, 1366, 0, 0, 0]),
    ({"gx": 100.0, "gy": -1000.0, "gz": 7.0}, [683, -342, 1366, 1429, -14286, 100]),
    ({"ax": 16.0, "gy": 2000.0}, [21858, -342, 1366, 1429, 28571, 100]),
]


def test_the_nano_reads_its_accelerometer_and_gyroscope() -> None:
    missing: Callable[[], str | None] = EMULATORS["labwired_nrf52840"].missing
    if why := missing():
        pytest.skip(why)
    from labwired import Sim

    elf = built_with_features("nano33") / "firmware.elf"
    sim = Sim(elf, system=BOARDS_DIR / "labwired" / "nano33_system.yaml")
    with Device(_Simulated(sim), timeout_s=30.0, start_s=60.0) as device:
        sensor = device.record_start()
        assert sensor.rate_millihertz == 59500
        assert [(c.name, c.unit) for c in sensor.channels] == list(
            zip(CHANNELS, UNITS, strict=True)
        )
        assert [c.lsb_nano for c in sensor.channels] == [732000] * 3 + [1221730] * 3
        for number, (inputs, expected) in enumerate(INPUTS):
            sim.set_inputs(inputs)
            found = device.record_read(number, 6)
            assert (found.first, found.state) == (number, 0)
            got = np.frombuffer(found.samples, "<i2")
            assert got.shape == (6,)
            assert np.abs(got - expected).max() <= 1, (inputs, got)
            assert device.record_read(number, 6) == found  # asked again, as after a lost reply
