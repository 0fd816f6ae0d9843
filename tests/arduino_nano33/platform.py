"""A double of PlatformIO's nordicnrf52, which no test can download."""

from platformio.public import PlatformBase


class Nordicnrf52Platform(PlatformBase):  # type: ignore[misc]
    """Its board stands in boards/, its build in builder/."""
