"""The project's own PlatformIO platform: it needs no package, the compilers come from PATH."""

from platformio.public import PlatformBase


class TinyproofPlatform(PlatformBase):  # type: ignore[misc]
    """Everything that differs between boards is data in boards/<id>.json."""
