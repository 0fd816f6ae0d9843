"""Choose the sensor that an image listens to: the first of its board's that suits the model."""

import json
import re

DEFINE = re.compile(r"^#define MODEL_FE_(CHANNELS|SAMPLE_RATE_MHZ) (\d+)", re.MULTILINE)

VERSION = re.compile(r"^version=(\S+)", re.MULTILINE)  # of library.properties


def choose(sensors, header):
    """The sensor of `sensors` (boards/<id>.json) for the front end of model_features.h.

    None: the model has no front end, or none of them has its channels at a rate that it can hear.
    """
    front_end = {name: int(number) for name, number in DEFINE.findall(header)}
    for sensor in sensors:
        rates = [1000 * rate for rate in sensor["rates_hz"]]
        if sensor["channels"] == front_end.get("CHANNELS") and (
            not rates or front_end["SAMPLE_RATE_MHZ"] in rates
        ):
            return sensor
    return None


def _version_of(manifest):
    """What a library.json says; None for one that is damaged, as by a full disk."""
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found.get("version") if isinstance(found, dict) else None


def is_installed(library, storage):
    """Whether the folder `storage` holds `library`, owner/name@version, in that version."""
    name, _, version = library.rpartition("/")[2].partition("@")
    for folder in (storage / name, *storage.glob(f"{name}@*")):
        properties, manifest = folder / "library.properties", folder / "library.json"
        found = None
        if properties.is_file():
            found = VERSION.search(properties.read_text(encoding="utf-8", errors="replace"))
        elif manifest.is_file():
            found = _version_of(manifest)
        if (found[1] if isinstance(found, re.Match) else found) == version:
            return True
    return False


def defines(sensor, sensors, header):
    """What the firmware's C is told: a name for people, and what a microphone hands on."""
    found = dict(DEFINE.findall(header))
    if not found or not sensors:  # without a front end nothing asks; an emulator replays a file
        return []
    if sensor is None:
        return [("BOARD_HAS_SENSOR", 0)]
    told = [("BOARD_SENSOR", f'\\"{sensor["part"]}\\"')]
    if sensor["rates_hz"]:
        told.append(("BOARD_SENSOR_HZ", int(found["SAMPLE_RATE_MHZ"]) // 1000))
    return told
