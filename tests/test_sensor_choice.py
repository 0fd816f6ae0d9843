"""Which sensor an image has follows from its model's front end, when it is built."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

import pytest

from host_tools.boards.board import load_board, read_board
from host_tools.build.firmware import build_firmware
from host_tools.emulators import EMULATORS
from host_tools.errors import UsageError
from host_tools.link.device import Device
from tests.firmware_builds import STUB_FEATURES, symbol_names, write_gen
from tests.sweeps import sweep
from tests.test_boards import write_board

DRIVERS = {  # a function of each driver
    "LSM9DS1": "read_registers",
    "microphone MP34DT06J": "microphone_start",
    "MPU-6050": "mpu6050_read",
    "microphone INMP441": "microphone_start",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("choice")


@functools.cache
def firmware(folder: Path, board_id: str, channels: int, rate_millihertz: int) -> Path:
    """The stub's firmware with a raw front end of so many channels; 768 values a window."""
    gen = folder / f"{channels}-{rate_millihertz}"
    if not gen.exists():
        write_gen(gen)
        for source in STUB_FEATURES.glob("*"):
            shutil.copy(source, gen)
        window = 768 // channels
        header, code = (gen / name for name in ("model_features.h", "model_features.c"))
        text = header.read_text().replace("MODEL_FE_CHANNELS 6", f"MODEL_FE_CHANNELS {channels}")
        text = text.replace("6u, 128u", f"{channels}u, {window}u")
        text = text.replace("RATE_MHZ 40000", f"RATE_MHZ {rate_millihertz}")
        header.write_text(text)
        text = code.read_text().replace("[6]", f"[{channels}]").replace(" = 6", f" = {channels}")
        text = re.sub(r"(\{\.multiplier.*\},\n\s*)+", "{.multiplier = 1, .shift = 1},\n", text)
        code.write_text(text.replace("128", str(window)))
    out = folder / f"{board_id}-{channels}-{rate_millihertz}"
    build_firmware(load_board(board_id), gen, out)
    return out / "firmware.elf"


CHOICES = [
    # board, channels, rate in mHz, the part
    ("nano33", 6, 50000, "LSM9DS1"),
    ("nano33", 6, 8000000, "LSM9DS1"),
    ("nano33", 1, 8000000, "microphone MP34DT06J"),
    ("nano33", 1, 16000000, "microphone MP34DT06J"),
    ("nano33", 1, 6667000, None),
    ("nano33", 8, 1000, None),
    ("esp32", 6, 50000, "MPU-6050"),
    ("esp32", 8, 1000, None),
    ("esp32", 1, 16000000, "microphone INMP441"),
    ("esp32", 1, 8000000, "microphone INMP441"),
]


@pytest.mark.parametrize(("board_id", "channels", "rate", "part"), sweep(CHOICES, CHOICES[2:10:3]))
def test_the_front_end_decides_which_driver_is_linked(
    board_id: str, channels: int, rate: int, part: str | None, folder: Path
) -> None:
    elf = firmware(folder, board_id, channels, rate)
    names, known = symbol_names(elf), {s.part for s in load_board(board_id).sensors if s.port}
    drivers = {DRIVERS[p] for p in known}
    assert set(names) & drivers == ({DRIVERS[part]} if part else set())
    assert ("fe_halve" in names) == (channels == 1 and rate == 8000000)
    assert ("interrupt_take" in names) == (part == "microphone MP34DT06J")


@pytest.mark.parametrize(("board_id", "channels", "rate", "part"), CHOICES)
@pytest.mark.slow
def test_the_board_says_which_sensor_it_has(
    board_id: str, channels: int, rate: int, part: str | None, folder: Path
) -> None:
    emulator = EMULATORS[load_board(board_id).emulators[0]]
    if why := emulator.missing():
        pytest.skip(why)
    with Device(emulator.start(firmware(folder, board_id, channels, rate)), start_s=60) as device:
        lines = device.command("info")
        assert [line for line in lines if line.startswith("sensor")] == (
            [f"sensor    {part}"] if part else []
        )
        if part is None:
            with pytest.raises(UsageError, match="no sensor for this model"):
                device.command("live")


def test_an_image_without_a_sensor_is_smaller_than_with_one(folder: Path) -> None:
    names = symbol_names(firmware(folder, "nano33", 8, 1000))
    assert "app_stream_push" in names
    assert not {"print_inference", "decide_push"} & set(names)


@pytest.mark.parametrize("rates", [[0], ["8k"], [True], 8000])
def test_a_wrong_rate_is_explained(rates: object, tmp_path: Path) -> None:
    path = write_board(
        tmp_path, lambda content: content["tinyproof"]["sensors"][1].update(rates_hz=rates)
    )
    with pytest.raises(UsageError, match=r"tinyproof.sensors.1..rates_hz: expected "):
        read_board(path)
