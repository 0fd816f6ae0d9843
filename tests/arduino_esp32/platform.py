"""A double of PlatformIO's espressif32, which no test can download."""

from platformio.public import PlatformBase


class Espressif32Platform(PlatformBase):  # type: ignore[misc]
    """Its board stands in boards/, its build in builder/."""
