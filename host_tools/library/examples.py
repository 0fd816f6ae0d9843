"""Example programs of a library: which ones suit its model, and the values of their templates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.paths import ROOT
from quantize.answers import board_text

STANDARD_GRAVITY = 9.80665
# Unit -> its number for 1 g, and for one degree a second.
ACCELERATION = {
    "g": 1.0,
    "mg": 1000.0,
    "m/s2": STANDARD_GRAVITY,
    "m/s^2": STANDARD_GRAVITY,
    "m/s²": STANDARD_GRAVITY,
}
TURNING = {
    "dps": 1.0,
    "deg/s": 1.0,
    "°/s": 1.0,
    "degrees/s": 1.0,
    "rad/s": math.radians(1),
}
MPU_FILTERS = {1: 184, 2: 94, 3: 44, 4: 21, 5: 10, 6: 5}  # register value -> Hz of acceleration
MPU_HZ = 1000
MPU_TOLERANCE = 0.01  # of the rate
MICROPHONE_HZ = 16000
WIDTHS = {"int8": 5, "uint8": 5, "bool": 5, "int16": 7, "int32": 12}  # of a score as text
RANGES = {
    "int8": ("-128", "127"),
    "uint8": ("0", "255"),
    "int16": ("-32768", "32767"),
    "int32": ("-2147483648.0", "2147483647.0"),
    "int64": ("-9007199254740992.0", "9007199254740992.0"),  # what a double can tell apart
    "bool": ("0", "1"),
    "float32": ("-3.4e38", "3.4e38"),
}
SIZES = {"int16": 2, "int32": 4, "int64": 8, "float32": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imu:
    """An accelerometer and gyroscope of a board that one of Arduino's libraries reads."""

    folder: str
    board: str
    part: str
    header: str
    rate_hz: float


IMUS = (
    Imu(folder="Nano33BLE_IMU", board="Nano 33 BLE and its Sense", part="LSM9DS1",
        header="Arduino_LSM9DS1.h", rate_hz=119),
    Imu(folder="Nano33BLERev2_IMU", board="Nano 33 BLE Rev2 and its Sense", part="BMI270",
        header="Arduino_BMI270_BMM150.h", rate_hz=99.84),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of an example: of a template with values of its own, or copied from the firmware."""

    place: str
    template: str = ""
    values: Mapping[str, Any]
    copied: Path | None = None


def example_files(values: Mapping[str, Any]) -> Iterator[File]:
    """All files of the examples that suit the model which `values` describe."""
    common = {**_texts(values), **_inputs(values)}
    accel, gyro = inertial(values["channel_units"])
    rate = values["rate_millihertz"] / 1000 if values["fe"] else 0.0
    mpu = _mpu(rate) if accel else None
    if rate:
        common |= {"accel": accel, "gyro": gyro, "period_ns": round(1e9 / rate), "mpu": mpu}
        common |= {"standard_gravity": STANDARD_GRAVITY, "degrees_in_radian": math.degrees(1)}
    folders: dict[str, dict[str, str]] = {"Selftest": {"Selftest.ino": "Selftest.ino"}}
    own: dict[str, dict[str, Any]] = {}
    for imu in IMUS:
        if accel and rate <= imu.rate_hz:
            folders[imu.folder] = {f"{imu.folder}.ino": "imu.ino"}
            own[imu.folder] = {"imu": imu}
    if mpu:
        folders["ESP32_MPU6050"] = {"ESP32_MPU6050.ino": "mpu6050.ino", "mpu6050.h": "mpu6050.h"}
    if step := microphone_step(values):
        folders["Nano33BLE_Microphone"] = {"Nano33BLE_Microphone.ino": "microphone.ino"}
        own["Nano33BLE_Microphone"] = {"microphone_step": step}
    folders["esp_idf"] = {"CMakeLists.txt": "esp_idf_project.txt"}
    folders["esp_idf/main"] = {"CMakeLists.txt": "esp_idf_main.txt", "main.c": "esp_idf_main.c"}
    folders["esp_idf/main"] |= {"mpu6050.h": "mpu6050.h"} if mpu else {}
    folders["zephyr"] = {"CMakeLists.txt": "zephyr_project.txt", "prj.conf": "zephyr_prj.conf"}
    folders["zephyr/src"] = {"main.c": "zephyr_main.c"}
    folders["pc"] = {"CMakeLists.txt": "pc_project.txt", "main.c": "pc_main.c"}
    for folder, files in folders.items():
        fits = bool(mpu if folder.startswith("esp_idf") else accel)
        filled = {**common, "imu_fits": fits, **own.get(folder, {})}
        if any(name.endswith((".ino", "main.c")) for name in files):
            files = {**files, "result.h": "result.h"}
        for name, template in files.items():
            place = f"examples/{folder}/{name}"
            yield File(place=place, template=f"examples/{template}", values=filled)
    if step == 2:
        for name in ("fe_halve.c", "fe_halve.h"):
            place = f"examples/Nano33BLE_Microphone/{name}"
            yield File(place=place, values={}, copied=ROOT / "firmware" / "features" / name)


def inertial(units: list[str]) -> tuple[float, float]:
    """The model's number for 1 g and for one degree a second: 0 where it has no such channels."""
    accel = ACCELERATION.get(units[0], 0.0) if units else 0.0
    gyro = TURNING.get(units[3], 0.0) if len(units) == 6 else 0.0
    if units == [*units[:1]] * 3 or (gyro and units == [units[0]] * 3 + [units[3]] * 3):
        return accel, gyro
    return 0.0, 0.0


def microphone_step(values: Mapping[str, Any]) -> int:
    """How many samples of a microphone one of the model's stands for: 1 or 2; 0: none fits."""
    full_scale = [f"{1 / 32768:.9g}f"]
    if not values["fe"] or values["lsb"] != full_scale:
        return 0
    step, rest = divmod(1000 * MICROPHONE_HZ, values["rate_millihertz"])
    return step if rest == 0 and step in (1, 2) else 0


def _mpu(rate: float) -> dict[str, int] | None:
    """Settings of an MPU-6050 that give the rate; None where it has no such rate."""
    divide = round(MPU_HZ / rate) - 1
    if not 0 <= divide <= 255 or abs(MPU_HZ / (1 + divide) - rate) > MPU_TOLERANCE * rate:
        return None
    below = [number for number, hertz in MPU_FILTERS.items() if hertz <= rate / 2]
    chosen = below[0] if below else max(MPU_FILTERS)
    return {"divide": divide, "filter": chosen, "filter_hz": MPU_FILTERS[chosen]}


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Names in the ASCII of the text form, and the bytes of the longest line."""
    labels = [board_text(label) for label in values["labels"]]
    units = [board_text(unit) for unit in values["units"]]
    model = board_text(values["model"])
    longest = {
        "class": 3 * max(map(len, labels), default=0),
        "several": sum(len(label) + 1 for label in labels),
        "numbers": 2 * sum(len(text) + 16 for text in (*values["target_names"], *units)),
    }.get(values["kind"], 0)
    width = WIDTHS.get(values["outputs"][0]["dtype"], 22)
    return {
        "shown_labels": labels,
        "shown_units": units,
        "shown_model": model,
        "line_bytes": len(model) + longest + width * min(values["scores"], 64),
    }


def _inputs(values: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs as a program for a computer declares and checks them."""
    types = []
    for tensor in values["inputs"]:
        least, most = RANGES[tensor["dtype"]]
        elements = tensor["bytes"] // SIZES.get(tensor["dtype"], 1)
        types.append({"c": tensor["c"], "elements": elements, "least": least, "most": most})
    return {"input_types": types, "elements": sum(t["elements"] for t in types)}
