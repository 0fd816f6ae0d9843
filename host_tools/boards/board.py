"""Boards are data: boards/<id>.json, read strictly into Board.

The same file is PlatformIO's board manifest; what is ours stands under its key "tinyproof". The
addresses in it are those of the linker script beside it, each with the document it comes from.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from host_tools.boards.parts import WITHOUT, read_parts
from host_tools.errors import UsageError
from host_tools.link.transport import BAUD
from host_tools.mlperf.benchmarks import BENCHMARKS
from model.paths import ROOT

BOARDS_DIR = ROOT / "boards"
KERNELS_DIR = BOARDS_DIR.parent / "firmware" / "kernels"
PORTS_DIR = BOARDS_DIR.parent / "firmware" / "board"
BOARDS: dict[str, Path] = {path.stem: path for path in sorted(BOARDS_DIR.glob("*.json"))}
SELFTEST = "-selftest"  # behind a board's name: firmware that can compare its kernels
SOURCE = re.compile(r"[^:,]*\w[^:,]*(, [^:,]*\w[^:]*)+: .*\w.*")  # document, section: what
ANY = re.compile("(?s).*")
FLAG = re.compile("-[A-Za-z0-9_.,=+/-]+")  # a shell sees them
USB_ID = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
TOOLS = ("sam-ba", "esptool")  # of an upload
LIBRARY = re.compile(r"[\w.-]+/[\w.-]+@\d+\.\d+\.\d+")  # a release of PlatformIO's registry
FRAMEWORKS = ("bare", "arduino")
# The model as C code, compiled ahead of time; as data of TFLite Micro, which has its own kernels.
ENGINES = (ENGINE, TFLM) = ("aot", "tflm")
REFERENCE = "ref"  # the kernels that all others are compared with
CONTENTS = ("code", "constants", "data")  # what a memory may hold; the stack belongs to data


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A region of the linker script: `bytes` from address `origin` on; `holds` is of CONTENTS."""

    name: str
    origin: int
    bytes: int
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uart:
    """The serial line of the link; `wiring` is empty when it shares the connector of the upload.

    `dtr_rts` is how the host holds DTR and RTS, both alike, while it has the port open: off where
    they are wired to reset, on where the board's own USB takes DTR for somebody who listens.
    """

    tx: str
    rx: str
    baud: int
    wiring: str
    dtr_rts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """How firmware reaches the board: a tool of host_tools.boards.flash, and a sentence about it.

    `kernels` are for the chip; the board's emulator may lack their instructions, and then
    `kernels_run_with` says what to type to see them run. `unverified` says what of this route
    nobody has tried on the board. `chip` and `image_at`, the place of the image
    in the flash, are for esptool; other tools know their chip, and there both are empty.
    """

    tool: str
    chip: str
    image_at: str
    usb: tuple[str, ...]  # 'vendor:product' of the ports that may be the board's
    how: str
    kernels: str
    kernels_run_with: str
    unverified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A sensor that a port can read: firmware has the first that suits its model's front end."""

    part: str
    channels: int
    rates_hz: tuple[int, ...]  # of models that it is for; none: of any
    port: tuple[str, ...]  # folders of firmware/board; none: not read by bare metal
    arduino: tuple[str, ...]  # the same with the Arduino framework
    libraries: tuple[str, ...]  # that those need beside the framework: owner/name@version


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """Another way to build for the board: PlatformIO's platform and packages that it needs, and
    the kernels that its compiler and calling convention take."""

    name: str
    platform: str
    packages: tuple[str, ...]
    kernels: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board; `emulators` names entries of host_tools.emulators, the first is the default."""

    id: str
    title: str
    clock_hz: int  # that the port sets
    soc: str
    toolchain: str
    flags: tuple[str, ...]
    env: str
    port: tuple[str, ...]
    sensors: tuple[Sensor, ...]
    pins: Mapping[str, str]  # the port's BOARD_PIN_<name> -> the chip's name of the pin
    kernels: str  # folder of firmware/kernels; what it does not hold comes from others
    memories: tuple[Memory, ...]
    uart: Uart | None
    emulators: tuple[str, ...]
    upload: Upload | None
    frameworks: tuple[Framework, ...]
    provenance: Mapping[str, str]
    folder: str  # the name of its folder in a folder of results
    selftest: bool  # the reference model is linked too, for `selftest kernels`
    mlperf: str = ""  # the benchmark whose commands its firmware answers
    without: tuple[str, ...] = ()  # parts of the application that its firmware does not have
    framework: str = FRAMEWORKS[0]  # of the firmware that its folder holds
    engine: str = ENGINE  # likewise

    def gen_dir(self, out_dir: Path) -> Path:
        """The generated model for its kernels or engine in `out_dir`, a folder of results."""
        return out_dir / ("gen-tflm" if self.engine == TFLM else f"gen/{self.kernels}")

    @property
    def baud(self) -> int:
        """Of its serial line."""
        return self.uart.baud if self.uart else BAUD

    def results(self, framework: str = "bare") -> str:
        """Its folder in a folder of results."""
        return self.folder if framework == "bare" else f"{self.folder}-{framework}"

    @property
    def default_framework(self) -> str:
        """The one that `flash` takes by itself: the first of its JSON file, whose link shares the
        cable; bare metal for a board without, and for a self-test, which no other has."""
        return self.frameworks[0].name if self.frameworks and not self.selftest else FRAMEWORKS[0]

    def framework_named(self, name: str) -> Framework | None:
        """What it needs to be built with the framework `name`; None: it does not have that one."""
        return next((framework for framework in self.frameworks if framework.name == name), None)

    def with_framework(self, framework: str) -> Board:
        """The same board with firmware of a framework, whose results lie in a folder of its own."""
        return replace(self, framework=framework, folder=self.results(framework))

    @property
    def plain(self) -> bool:
        """Whether its kernels are those of its JSON file, not some that its name asks for."""
        return self.folder.removesuffix(self.suffix) == self.id

    @property
    def suffix(self) -> str:
        """What its name says of its firmware, behind board and kernels."""
        left_out = f"{WITHOUT}{'-'.join(self.without)}" if self.without else ""
        return left_out + (SELFTEST if self.selftest else f"-{self.mlperf}" if self.mlperf else "")

    def memory_for(self, content: str) -> Memory | None:
        """Return the memory that holds `content` (one of CONTENTS); None: without a limit."""
        return next((memory for memory in self.memories if content in memory.holds), None)


def load_board(board_id: str) -> Board:
    """Return the board `board_id`; UsageError names the boards that exist.

    `<board>-<kernels>` is the board with another set of kernels, `<board>-tflm` the one with TFLite
    Micro's interpreter; `-selftest` behind either is firmware with the reference model as well,
    `-kws01` and so on firmware that answers the commands of that benchmark; `-without-text-drift`
    before them is firmware without those parts of the application. Each has a folder, whose name
    does not depend on the order of the parts.
    """
    folder = board_id
    selftest = board_id.endswith(SELFTEST)
    mlperf = next((name for name in BENCHMARKS if board_id.endswith(f"-{name}")), "")
    suffix = SELFTEST if selftest else f"-{mlperf}" if mlperf else ""
    board_id, some, parts = board_id.removesuffix(suffix).partition(WITHOUT)
    parts = parts.replace(WITHOUT, "-")  # a board's name and an option may each leave some out
    without = read_parts(parts, "-", f"board {folder!r}") if some else ()
    if "text" in without and suffix:
        raise UsageError(
            f"board {folder!r}: {suffix[1:]} answers in text; name the board without it"
        )
    folder = f"{board_id}{some}{'-'.join(without)}{suffix}"
    board_id, _, kernels = board_id.partition("-")
    if board_id not in BOARDS:
        raise UsageError(
            f"no board {folder!r}{_closest(folder.replace('-', '_'), BOARDS)}; known boards: "
            f"{', '.join(BOARDS)}"
        )
    board = read_board(BOARDS[board_id])
    if kernels == TFLM and selftest:
        told = f"{SELFTEST[1:]} compares our own kernels; ENGINE={TFLM} has none: make compare"
        raise UsageError(f"board {folder!r}: {told}")
    board = _with_kernels(board, kernels) if kernels else board
    return replace(board, selftest=selftest, mlperf=mlperf, without=without, folder=folder)


def chip_board(board: Board, framework: str = "bare") -> Board:
    """The board with the kernels for its chip, whose instructions its emulator may lack, or for the
    compiler and calling convention of a framework."""
    wanted = board.framework_named(framework)
    kernels = wanted.kernels if wanted else board.upload.kernels if board.upload else board.kernels
    if not board.plain or kernels == board.kernels:
        return board
    return load_board(f"{board.id}-{kernels}{board.suffix}")


def board_of_folder(name: str) -> Board:
    """The board whose results a folder of this name holds; UsageError as load_board."""
    for framework in FRAMEWORKS[1:]:
        if name.endswith(f"-{framework}"):
            return load_board(name.removesuffix(f"-{framework}")).with_framework(framework)
    return load_board(name)


def _with_kernels(board: Board, kernels: str) -> Board:
    if kernels == TFLM:
        return replace(board, kernels=TFLM, engine=TFLM)
    known = {path.name for path in KERNELS_DIR.iterdir() if path.is_dir()}
    if board.toolchain:  # this computer's compiler takes the twins in C of any set
        own = {framework.kernels for framework in board.frameworks}
        own |= {board.upload.kernels} if board.upload else set()
        own |= {board.kernels, board.kernels.partition("_")[0]}  # what its set goes on behind
        known &= {"ref", *own}
    if kernels not in known:
        raise UsageError(
            f"board '{board.id}-{kernels}': no kernels '{kernels}'"
            f"{_closest(kernels, sorted(known))}; it takes {', '.join(sorted(known))}"
        )
    return replace(board, kernels=kernels)


def read_board(path: Path) -> Board:
    """Read one board file; UsageError tells file, key, what was expected and what was found."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a readable JSON file: {error}") from error
    top = _Reader(path.name, "", content, ("name", "url", "vendor", "build", "tinyproof"))
    build = _Reader(path.name, "build", top.value("build", dict), ("mcu", "f_cpu"), ("ldscript",))
    ours = _Reader(path.name, "tinyproof", top.value("tinyproof", dict), _FIELDS, ("frameworks",))
    return Board(
        id=path.stem,
        title=top.value("name", str),
        clock_hz=_clock(build),
        soc=ours.value("soc", str),
        toolchain=ours.value("toolchain", str),
        flags=ours.strings("flags", FLAG),
        env=ours.value("env", str),
        port=_folders(ours, "port"),
        sensors=tuple(
            _sensor(reader) for reader in ours.sections("sensors", _SENSOR_KEYS, ("libraries",))
        ),
        pins=ours.texts("pins"),
        kernels=ours.value("kernels", str),
        memories=tuple(_memory(reader) for reader in ours.sections("memories", _MEMORY_KEYS)),
        uart=_uart(ours),
        emulators=ours.strings("emulators", least=1),
        upload=_upload(ours),
        frameworks=_frameworks(ours),
        provenance=_provenance(ours),
        folder=path.stem,
        selftest=False,
    )


_FIELDS = (
    "soc", "toolchain", "flags", "env", "port", "sensors",
    "pins", "kernels", "memories", "uart", "emulators", "upload", "provenance",
)  # fmt: skip
_SENSOR_KEYS = ("part", "channels", "rates_hz", "port", "arduino")
_MEMORY_KEYS = ("name", "origin", "bytes", "holds")


@dataclass(frozen=True, slots=True)
class _Reader:
    """One JSON object with its place in the file; its keys are checked when it is made."""

    file: str
    where: str
    content: Any
    known: tuple[str, ...]
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.content, dict):
            raise UsageError(f"{self.file}: {self.where or 'the file'}: expected an object")
        for key in self.content:
            if key not in self.known and key not in self.optional:
                known = (*self.known, *self.optional)
                raise UsageError(
                    f"{self.file}: unknown key '{self._path(key)}'{_closest(key, known)}; "
                    f"known keys: {', '.join(known)}"
                )
        for key in self.known:
            if key not in self.content:
                raise UsageError(f"{self.file}: the key '{self._path(key)}' is missing; add it")

    def value(self, key: str, kind: type) -> Any:
        found = self.content[key]
        if not isinstance(found, kind) or isinstance(found, bool):
            raise self.wrong(key, kind.__name__, found)
        return found

    def positive(self, key: str) -> int:
        found = self.value(key, int)
        if found <= 0:
            raise self.wrong(key, "a whole number above 0", found)
        return int(found)

    def flag(self, key: str) -> bool:
        found = self.content[key]
        if not isinstance(found, bool):
            raise self.wrong(key, "true or false", found)
        return found

    def strings(self, key: str, form: re.Pattern[str] = ANY, least: int = 0) -> tuple[str, ...]:
        found = self.value(key, list)
        if len(found) < least or not all(
            isinstance(item, str) and form.fullmatch(item) for item in found
        ):
            like = f" of the form {form.pattern}" if form is not ANY else ""
            raise self.wrong(key, f"a list of {least} or more strings{like}", found)
        return tuple(found)

    def texts(self, key: str) -> Mapping[str, str]:
        found = self.value(key, dict)
        reader = _Reader(self.file, self._path(key), found, tuple(found))
        return {name: reader.value(name, str) for name in found}

    def section(self, key: str, known: tuple[str, ...]) -> _Reader:
        return _Reader(self.file, self._path(key), self.content[key], known)

    def sections(
        self, key: str, known: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> tuple[_Reader, ...]:
        return tuple(
            _Reader(self.file, f"{self._path(key)}[{index}]", item, known, optional)
            for index, item in enumerate(self.value(key, list))
        )

    def _path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def wrong(self, key: str, expected: str, found: object) -> UsageError:
        return UsageError(f"{self.file}: {self._path(key)}: expected {expected}, got {found!r}")


def _clock(build: _Reader) -> int:
    text = build.value("f_cpu", str)
    if not re.fullmatch("[1-9][0-9]*L?", text):
        raise UsageError(
            f"{build.file}: build.f_cpu: expected hertz such as '64000000L', got '{text}'"
        )
    return int(text.removesuffix("L"))


def _sensor(reader: _Reader) -> Sensor:
    rates = reader.value("rates_hz", list)
    if not all(type(rate) is int and rate > 0 for rate in rates):
        raise UsageError(
            f"{reader.file}: {reader.where}.rates_hz: expected whole numbers above 0, got {rates!r}"
        )
    return Sensor(
        part=reader.value("part", str),
        channels=reader.positive("channels"),
        rates_hz=tuple(rates),
        port=_folders(reader, "port"),
        arduino=_folders(reader, "arduino"),
        libraries=_libraries(reader),
    )


def _libraries(reader: _Reader) -> tuple[str, ...]:
    names = reader.strings("libraries") if "libraries" in reader.content else ()
    for name in names:
        if not LIBRARY.fullmatch(name):
            raise UsageError(
                f"{reader.file}: {reader.where}.libraries: expected '<owner>/<name>@<version>', "
                f"got '{name}'"
            )
    return names


def _memory(reader: _Reader) -> Memory:
    holds = reader.strings("holds")
    unknown = next((content for content in holds if content not in CONTENTS), None)
    if unknown is not None:
        raise UsageError(
            f"{reader.file}: {reader.where}.holds: expected some of {', '.join(CONTENTS)}, "
            f"got '{unknown}'"
        )
    origin = reader.value("origin", str)
    if not re.fullmatch("0x[0-9a-fA-F]{1,8}", origin):
        raise reader.wrong("origin", "a hexadecimal address such as '0x20000000'", origin)
    return Memory(
        name=reader.value("name", str),
        origin=int(origin, 16),
        bytes=reader.positive("bytes"),
        holds=holds,
    )


def _folders(reader: _Reader, key: str) -> tuple[str, ...]:
    """Folders of a port; without one the image would lack it and be built all the same."""
    for name in reader.strings(key):
        if name not in {path.name for path in PORTS_DIR.iterdir() if path.is_dir()}:
            raise reader.wrong(key, f"folders of {PORTS_DIR}", name)
    return reader.strings(key)


def _uart(ours: _Reader) -> Uart | None:
    if ours.content["uart"] is None:
        return None
    reader = ours.section("uart", ("tx", "rx", "baud", "wiring", "dtr_rts"))
    return Uart(
        tx=reader.value("tx", str),
        rx=reader.value("rx", str),
        baud=reader.positive("baud"),
        wiring=reader.value("wiring", str),
        dtr_rts=reader.flag("dtr_rts"),
    )


def _upload(ours: _Reader) -> Upload | None:
    if ours.content["upload"] is None:
        return None
    tool = ours.value("upload", dict).get("tool")
    if "tool" in ours.content["upload"] and tool not in TOOLS:
        raise ours.wrong("upload.tool", f"one of {', '.join(TOOLS)}", tool)
    keys = ("chip", "image_at") if tool == "esptool" else ()
    kernels = ("kernels", "kernels_run_with")
    reader = ours.section("upload", ("tool", *keys, "usb", "how", *kernels, "unverified"))
    return Upload(
        tool=reader.value("tool", str),
        chip=reader.value("chip", str) if keys else "",
        image_at=reader.value("image_at", str) if keys else "",
        usb=reader.strings("usb", USB_ID),
        how=reader.value("how", str),
        kernels=reader.value("kernels", str),
        kernels_run_with=reader.value("kernels_run_with", str),
        unverified=reader.value("unverified", str),
    )


def _provenance(ours: _Reader) -> Mapping[str, str]:
    """A source for each key, none of them twice: what is copied has not been looked up."""
    found = ours.texts("provenance")
    where = f"{ours.file}: {ours.where}.provenance"
    keys: dict[str, str] = {}
    for key, text in found.items():
        if not SOURCE.fullmatch(text):
            raise UsageError(
                f"{where}.{key}: expected '<document>, <section>: <what stands there>', "
                f"got '{text}'"
            )
        if text in keys:
            raise UsageError(
                f"{where}.{key}: the same text as for '{keys[text]}'; write what stands there of "
                f"'{key}'"
            )
        keys[text] = key
    return found


def _frameworks(ours: _Reader) -> tuple[Framework, ...]:
    if "frameworks" not in ours.content:
        return ()
    return tuple(
        Framework(
            name=reader.value("name", str),
            platform=reader.value("platform", str),
            packages=reader.strings("packages"),
            kernels=reader.value("kernels", str),
        )
        for reader in ours.sections("frameworks", ("name", "platform", "packages", "kernels"))
    )


def _closest(word: str, known: Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
