"""What PlatformIO's filter does: the screen's text, the log, and where both find what they need."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from host_tools.errors import UsageError
from host_tools.monitor.models import find_images, find_model, find_tests
from host_tools.monitor.screen import Screen
from host_tools.monitor.words import Unit, Words
from model.text import printable

SETTINGS = "TINYPROOF_MONITOR_SETTINGS"  # of the environment: the filter runs in another process
ENCODING = "Latin-1"  # one character a byte, so that frames reach the filter whole
MAX_LINE = 4096  # characters of a log's line that has no end


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a monitor knows before the board says anything."""

    build: str = ""  # the project's build folder: models and images; "" for none
    elf: str = ""  # the firmware that runs, where that is known
    log: str = ""  # a file to append to
    hint: str = ""  # what to do where `live` finds no sensor
    ready: int = -1  # a descriptor to close when the port is open; -1: none
    units: Mapping[str, Unit] = field(default_factory=dict)  # by the board's id

    def words(self) -> Words:
        """What puts frames into words, with this project's models."""
        build = Path(self.build)
        own = [Path(self.elf)] if self.elf else []
        if not self.build:
            return Words(images=lambda: own, units=self.units, hint=self.hint)
        return Words(
            find=lambda sha256: find_model(build, sha256),
            images=lambda: own or find_images(build),
            tests=lambda number: find_tests(build, number),
            units=self.units,
            hint=self.hint,
        )

    def environment(self) -> dict[str, str]:
        """The variable that from_environment reads."""
        return {SETTINGS: json.dumps(asdict(self))}


def from_environment() -> Settings:
    """The settings that tinyproof monitor left; the defaults without it."""
    told = json.loads(os.environ.get(SETTINGS, "{}"))
    units = {board: Unit(**unit) for board, unit in told.pop("units", {}).items()}
    return Settings(units=units, **told)


class Log:
    """A readable file: one line for each of the screen's and each typed one, with its time."""

    def __init__(self, path: Path) -> None:
        """Appends; UsageError when the file cannot be written."""
        try:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise UsageError(f"--log {path}: {error.strerror}; name a file to write to") from error
        self._lines = {"": "", "> ": ""}

    def add(self, text: str, mark: str = "") -> None:
        """More text of the screen, or typed with the mark '> '."""
        *whole, rest = (self._lines[mark] + text).split("\n")
        if len(rest) > MAX_LINE:
            whole, rest = [*whole, rest], ""
        self._lines[mark] = rest
        for line in whole:
            now = datetime.now().astimezone().isoformat(timespec="milliseconds")
            self._file.write(f"{now} {mark}{line}\n")

    def close(self) -> None:
        """Write what has no end yet."""
        for mark, rest in self._lines.items():
            if rest:
                self.add("\n", mark)
        self._file.close()


class View:
    """One session: received characters in, text for the terminal out."""

    def __init__(self, settings: Settings) -> None:
        self._screen = Screen(settings.words())
        self._log = Log(Path(settings.log)) if settings.log else None
        if settings.ready >= 0:
            os.close(settings.ready)

    def received(self, text: str) -> str:
        """What `text`, a character a byte, adds to the screen."""
        shown = self._screen.feed(text.encode(ENCODING, "replace"))
        return shown + self._logged(shown)

    def typed(self, text: str) -> None:
        """Note what is on its way to the board."""
        self._logged(printable(text.replace("\r\n", "\n"), keep="\n\t"), "> ")

    def _logged(self, text: str, mark: str = "") -> str:
        """What there is to say about the log: that it could not be written any more."""
        if self._log is None or not text:
            return ""
        try:
            self._log.add(text, mark)
        except OSError as error:
            self._log = None
            return f"--- the log ends here: {error.strerror}\n"
        return ""
