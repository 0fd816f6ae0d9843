"""The monitor: what a person sees of a board, whatever that sends, in PlatformIO's own terminal."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import socket
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.boards.board import Board, load_board
from host_tools.cli import main
from host_tools.commands import monitor as command
from host_tools.emulators import EMULATORS
from host_tools.errors import DeviceError, UsageError
from host_tools.link import frames
from host_tools.link.frames import REPLY, Frame, Status
from host_tools.link.protocol import DriftCounts, MessageType
from host_tools.link.transport import SerialTransport, Transport
from host_tools.monitor.emulate import replay_hint
from host_tools.monitor.models import UNKNOWN, Model, find_images, find_model
from host_tools.monitor.pump import monitor_network
from host_tools.monitor.screen import MAX_ESCAPES, Screen
from host_tools.monitor.session import monitor_command, monitor_port, units_at
from host_tools.monitor.view import Log, Settings, View
from host_tools.monitor.words import Unit, Words
from model.files import write_json
from tests.firmware_builds import built_with_features
from tests.native_app import ROOT, compile_app, start
from tests.pty_board import PtyBoard
from tests.terminal import Terminal
from tests.test_board_faults import firmware
from tests.test_protocol import FRAMES, LINES, cut, document_examples
from tests.test_stream import recorded

SHA = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"  # of the stub
FEL = Model(labels=("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"), output_bytes=7)
UNITS = {
    "native": Unit(name="nanoseconds"),
    "qemu_m4": Unit(name="instructions"),
    "nano33": Unit(name="cycles", hertz=64_000_000),
}
GARBAGE = st.one_of(
    st.binary(max_size=200), st.sampled_from([b"class 1", b"\x02" * 9, b"\r\n", b"labels "])
)


def words(model: Model = UNKNOWN) -> Words:
    return Words(find=lambda sha256: model, units=UNITS)


def shown(*data: bytes, model: Model = UNKNOWN) -> str:
    screen = Screen(words(model))
    return "".join(screen.feed(piece) for piece in data)


def reply(kind: MessageType, payload: bytes = b"", status: int = 0) -> bytes:
    return frames.encode(Frame(type=kind | REPLY, sequence=7, payload=payload, status=status))


@given(
    items=st.lists(st.one_of(FRAMES, LINES, GARBAGE), max_size=6),
    sizes=st.lists(st.integers(0, 300), max_size=40),
)
def test_only_what_a_terminal_prints_comes_out_in_any_pieces(
    items: list[Frame | str | bytes], sizes: list[int]
) -> None:
    wire = b"".join(
        frames.encode(item)
        if isinstance(item, Frame)
        else item.encode() + b"\r\n"
        if isinstance(item, str)
        else item
        for item in items
    )
    whole = shown(wire)
    assert all(c.isprintable() or c in "\n\t" for c in whole)
    assert shown(*cut(wire, sizes)) == whole


@given(lines=st.lists(LINES, max_size=6))
def test_text_passes_as_it_is(lines: list[str]) -> None:
    wire = b"".join(line.encode() + b"\r\n" for line in lines)
    assert shown(wire) == "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"waiting", "waiting"),  # shown before its line ends
        ("21 °C\n".encode(), "21 °C\n"),
        (b"a\rb\nc\r\n\r\n\nd", "a\nb\nc\n\n\nd"),
        (b"\x1b[2J\x1b]0;title\x07ok\n", "\\x1b[2J\\x1b]0;title\\x07ok\n"),
        ("\u009b2Jcsi \u202ebidi\n".encode(), "\\x9b2Jcsi \\u202ebidi\n"),
        (b"\xff\x80 8 bit\n", "\\xff\\x80 8 bit\n"),
        (b"cut \xc2\n", "cut \\xc2\n"),
        (b"text" + reply(MessageType.RESET) + b"more\n", "text\n<- RESET 7: OK\nmore\n"),
        (b"class 1" + b"a" * 9, ""),  # may still become a line of `live`
    ],
)
def test_what_is_shown(wire: bytes, text: str) -> None:
    assert shown(wire) == text


def test_garbage_is_bounded_and_what_follows_is_understood() -> None:
    """A line without end, a frame without end, and a flood of what is no text."""
    screen = Screen(words())
    screen.feed(b"x")
    tracemalloc.start()
    for flood in (b"\x02" + b"\x01" * 4096, b"\0class 1" + b" " * 4096, b"\0" + b"\xfe" * 4096):
        for _ in range(30):
            screen.feed(flood[-4096:])
        screen.feed(b"\0")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
    text = screen.feed(b"\xfe" * 100 + b"\nhello\n" + reply(MessageType.RESET))
    more = f"(and {100 - MAX_ESCAPES} more that are no text)\n"
    assert text.endswith(more + "hello\n<- RESET 7: OK\n")
    assert text.count("\\xfe") == MAX_ESCAPES


def test_every_message_of_the_document_is_put_into_words() -> None:
    for title, wire in document_examples():
        text = shown(wire)
        (event,) = frames.FrameDecoder().feed(wire)
        assert isinstance(event, Frame)
        if event.type == MessageType.FAULT | REPLY:
            assert "stopped by a fault: read or write where nothing is" in text
            continue
        kind = event.type if event.type == MessageType.ERROR else event.type & 0x7F
        way = "<-" if event.type & REPLY else "->"
        assert text.startswith(f"{way} {MessageType(kind).name} {event.sequence}"), title
        assert "cannot be right" not in text
        if event.status:
            assert text.endswith(f": {Status(event.status).name}\n")


def test_replies_in_words() -> None:
    hello = next(w for title, w in document_examples() if title.startswith("reply: model stub on"))
    screen = Screen(words(FEL))
    told = screen.feed(hello)
    assert "model stub, sha256 " in told
    assert "kernels armv7em, framework bare, engine aot" in told
    assert screen.feed(reply(MessageType.INVOKE, b"\x40\xe2\x01\x00")).endswith(" instructions\n")
    scores = [0x80, 0x7F, *[0x80] * 5]
    samples = bytes([1, *[0] * 7, 4, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, *scores])
    assert re.search(
        r"<- SAMPLES 7: 1 inference\n   4: ABD +█{20} 0\.996  [\d,]+ instructions \+ ",
        screen.feed(reply(MessageType.SAMPLES, samples)),
    )
    assert "cannot be right" in screen.feed(reply(MessageType.SAMPLES, samples[:-1] + b"12"))
    assert "cannot be right" in screen.feed(reply(MessageType.DRIFT, b"123"))
    assert screen.feed(reply(MessageType.INVOKE, status=8)) == "<- INVOKE 7: BAD_STATE\n"
    broken = bytearray(reply(MessageType.RESET))
    broken[6] ^= 1
    assert screen.feed(bytes(broken)) == "<- a damaged frame (BAD_CRC), 13 bytes\n"


def test_drift_in_words() -> None:
    counts = DriftCounts(profile=5, windows=4, bins=((4, 0, 0), (0, 4, 0)), classes=(1, 3))
    numbers = [4, 2, 3, 2, *counts.bins[0], *counts.bins[1], *counts.classes]
    payload = (5).to_bytes(4, "little") + b"".join(n.to_bytes(2, "little") for n in numbers)
    screen = Screen(Words(tests=lambda number: ("ax mean", "ax roughness") if number == 5 else ()))
    assert screen.feed(reply(MessageType.DRIFT, payload)) == (
        "<- DRIFT 7: 4 windows counted against profile 00000005\n"
        "   classes: class 1 75%, class 0 25%\n"
        "   most in the outermost bins: ax mean 100%, ax roughness 0%; "
        "`tinyproof drift` judges it\n"
    )


def test_lines_of_live_become_bars() -> None:
    model = f"model     m, sha256 {SHA}\n".encode()
    live = b"class 2 FEL, scores -128 -64 127; mean of 4: class 1 ABD; 640000 counts\r\n"
    text = shown(b"tinyproof 0.1.0 on nano33\r\n", model, live, model=FEL).splitlines()[-1]
    cost = "640,000 cycles = 10.00 ms at 64 MHz"
    assert text == f"FEL           {'█' * 20} 0.996  {cost}  mean of 4: ABD"
    hostile = shown(b"class 1 \x1b[2J, scores 1 2; decided: class 1 \x07\n", model=FEL)
    assert hostile.startswith("\\x1b[2J") and hostile.endswith("decided: \\x07\n")
    half = shown(model, live, model=Model(scale=1 / 512)).splitlines()[-1]
    assert f" {'█' * 10}{'░' * 10} 0.498  640,000 counts " in half
    labels = shown(b"labels hum+fan, scores 5 -7 100; mean of 1: labels none; decided: x\n")
    assert (
        labels == f"hum+fan       highest {'█' * 18}{'░' * 2} 0.891  mean of 1: none  decided: x\n"
    )


def test_bench_names_what_it_counts() -> None:
    wire = b"counts per inference, 10 runs: min 640  mean 700  max 6400\r\n  step 0: 128\r\nok\r\n"
    assert shown(b"tinyproof 0.1.0 on native\n", wire).splitlines()[1:] == [
        "10 inferences: min 0.6 µs, mean 0.7 µs, max 6.4 µs; one more inference, by step:",
        "  step 0: 0.1 µs",
        "ok",
    ]
    assert "min 640 cycles = 0.01 ms at 64 MHz" in shown(b"tinyproof 0.1.0 on nano33\n", wire)
    assert "counts per 3" in shown(b"counts per 3\n")


def test_live_without_a_sensor_says_what_to_do() -> None:
    said = b"error: this board has no sensor for this model\r\n"
    screen = Screen(Words(hint="make monitor BOARD=native REPLAY=own.npz"))
    told = "for this model; make monitor BOARD=native REPLAY=own.npz\n"
    assert screen.feed(said).endswith(told)
    assert Screen(Words()).feed(said).endswith("for this model\n")
    board = load_board("qemu_m4")
    assert "REPLAY=own.npz" in replay_hint(board, EMULATORS["qemu_m4"])


def test_a_fault_is_decoded_once(tmp_path: Path) -> None:
    wire = next(w for title, w in document_examples() if title.startswith("reply: Arm, BFAR"))
    text = shown(wire, wire, b"tinyproof 0.1.0 on qemu_m4\n", wire)
    assert text.count("the board has stopped by a fault") == 2  # again after a new start
    assert text.count("<- FAULT: the same as before") == 1


def test_a_model_is_found_by_its_hash(tmp_path: Path) -> None:
    output = {"bytes": 2, "scale": 0.5, "zero_point": 3}
    manifest = {
        "model_sha256": SHA,
        "outputs": [output],
        "labels": ["a\x1b[2J", "b"],
        "settings": {"task": "classification"},
    }
    gen = tmp_path / "recipes" / "r" / "gen" / "ref"
    gen.mkdir(parents=True)
    assert find_model(tmp_path, SHA) == UNKNOWN
    for damaged in ([], {**manifest, "outputs": 3}, {**manifest, "settings": []}):
        write_json(gen / "manifest.json", damaged)
        assert find_model(tmp_path, SHA) == UNKNOWN
    write_json(gen / "manifest.json", manifest)
    found = Model(labels=("a\\x1b[2J", "b"), output_bytes=2, scale=0.5, zero_point=3)
    assert find_model(tmp_path, SHA) == found
    assert find_model(tmp_path, "f" * 64) == UNKNOWN
    write_json(gen / "manifest.json", {**manifest, "settings": {"task": "regression"}})
    assert find_model(tmp_path, SHA).labels == ()
    assert find_images(tmp_path) == []


def test_a_log_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "said.txt"
    view = View(Settings(log=str(path)))
    view.typed("he")
    view.received("\x1b[1mok\r\n\x00\x02\x02")
    view.typed("lp\x1b\r\n")
    view.received("no end")
    lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
    assert [text for _, text in lines] == ["\\x1b[1mok", "> help\\x1b"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}[+-]\d\d:\d\d", at) for at, _ in lines)
    with pytest.raises(UsageError, match="Is a directory"):
        Log(tmp_path)


def test_what_a_board_counts() -> None:
    desk, far = units_at("/dev/ttyACM0"), units_at("socket://there:4000")
    assert desk["nano33"] == Unit(name="cycles", hertz=64_000_000)
    assert far["nano33"] == Unit(name="counts")
    assert desk["qemu_m4"] == far["qemu_m4"] == Unit(name="instructions")


def test_a_missing_port_or_terminal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def monitor(port: str) -> None:
        monitor_port(port, 115200, build=tmp_path, log=None)

    with pytest.raises(UsageError, match=r"make monitor PORT=/dev/"):
        monitor("")
    with pytest.raises(DeviceError, match="/dev/ttyNONE does not exist"):
        monitor("/dev/ttyNONE")
    terminal, other = pty.openpty()
    with os.fdopen(terminal), os.fdopen(other) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with (
            closing(SerialTransport(os.ttyname(other))),
            pytest.raises(DeviceError, match="Another program has the port open"),
        ):
            monitor(os.ttyname(other))
        with socket.create_server(("127.0.0.1", 0)) as free:
            nobody = f"socket://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(DeviceError, match="Nothing listens at that address"):
            monitor_network(nobody, 115200, build=tmp_path, log=None)
    with (tmp_path / "input").open("w+") as no_terminal:
        monkeypatch.setattr(sys, "stdin", no_terminal)
        with pytest.raises(UsageError, match="terminal"):
            monitor("/dev/null")


def filter_module() -> Any:
    path = ROOT / "monitor" / "filter_tinyproof.py"
    spec = importlib.util.spec_from_file_location("filter_tinyproof", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_filter_has_the_name_the_monitor_asks_for() -> None:
    assert filter_module().Tinyproof.NAME in monitor_command("/dev/ttyACM0", 115200)


def test_a_platformio_without_our_packages_has_no_such_filter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It warns and shows what comes as it is; an error would end its monitor."""
    monkeypatch.setitem(sys.modules, "host_tools.monitor.view", None)
    assert not hasattr(filter_module(), "Tinyproof")


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the command opens: (port, baud), or (board, replayed, firmware's folder)."""
    found: list[tuple[Any, ...]] = []

    def at_port(port: str, baud: int, **_: object) -> None:
        found.append((port, baud))
        raise click.exceptions.Exit(0)  # the process has become PlatformIO's

    def in_front_of(board: Board, emulator: Any, elf: Path, **_: object) -> int:
        found.append((board.id, bool(getattr(emulator, "replay", None)), elf.parent.as_posix()))
        return 0

    monkeypatch.setattr(command, "monitor_port", at_port)
    monkeypatch.setattr(command, "monitor_network", at_port)
    monkeypatch.setattr(command, "monitor_emulator", in_front_of)
    monkeypatch.setattr(command, "up_to_date", lambda *_: nullcontext())
    monkeypatch.setattr(command, "settings_of", lambda *_: None)  # there is no terminal here
    monkeypatch.setattr("host_tools.boards.ports.usb_ports", list)
    monkeypatch.setattr("host_tools.link.transport.usb_ports", list)
    return found


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--port", "socket://there:4000"], ("socket://there:4000", 115200)),
        (["--port", "/dev/ttyX", "--board", "nano33"], ("/dev/ttyX", 115200)),
        (["motion", "--board", "native"], ("native", False, "build/recipes/motion/native")),
        (["motion"], ("qemu_m4", False, "build/recipes/motion/qemu_m4")),
        (["motion", "--replay", "TAKE"], ("qemu_m4", True, "build/recipes/motion/qemu_m4")),
    ],
)
def test_what_the_command_opens(
    arguments: list[str], expected: tuple[Any, ...], opened: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    take = str(recorded(tmp_path))
    assert main(["monitor", *(take if a == "TAKE" else a for a in arguments)]) == 0
    assert opened == [expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["motion", "--port", "/dev/ttyX"], "what runs there is no emulator's"),
        (["--board", "nano33"], "no serial port was given"),
        ([], "no serial port was given"),
        (["motion", "--board", "nano33", "--emulator", "qemu_m4"], "does not run it"),
    ],
)
def test_what_the_command_refuses(
    arguments: list[str],
    message: str,
    opened: list[tuple[Any, ...]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    take = str(recorded(tmp_path))
    assert main(["monitor", *(take if a == "TAKE" else a for a in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert opened == []


def test_nothing_is_built_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(command, "up_to_date", lambda *_: begun.append(1))
    assert main(["monitor", "motion", "--board", "native"]) == 2
    assert "needs a terminal" in capsys.readouterr().err and not begun


# --- PlatformIO's own monitor ------------------------------------------------------------------


def at_port(port: str) -> list[str]:
    code = (
        "from pathlib import Path; from host_tools.monitor.session import monitor_port; "
        "from host_tools.monitor.pump import monitor_network; "
        f"monitor = monitor_network if '://' in {port!r} else monitor_port; "
        f"raise SystemExit(monitor({port!r}, 115200, build=Path('build'), log=None))"
    )
    return [sys.executable, "-c", code]


def in_emulator(board: str, elf: Path, *, replay: Path | None = None, log: str = "") -> list[str]:
    code = f"""
from pathlib import Path
from host_tools.boards.board import load_board
from host_tools.errors import DeviceError
from host_tools.link.record import with_replay
from host_tools.link.target import choose_target
from host_tools.monitor.emulate import monitor_emulator
board = load_board({board!r})
target = choose_target(board, None, None)
if {str(replay or "")!r}:
    target = with_replay(target, Path({str(replay)!r}))
log = Path({log!r}) if {log!r} else None
try:
    end = monitor_emulator(board, target.emulator, Path({str(elf)!r}), build=Path("no"), log=log)
except DeviceError as error:
    print("error:", error)
    end = error.exit_code
raise SystemExit(end)
"""
    return [sys.executable, "-c", code]


def test_the_real_monitor_shows_text_and_takes_commands(tmp_path: Path) -> None:
    link = tmp_path / "ttyUSB0"
    with PtyBoard(compile_app(tmp_path), link), Terminal(at_port(str(link)), cwd=ROOT) as terminal:
        terminal.read_until("--- Quit: Ctrl+C")
        terminal.type("info\r")
        told = terminal.read_until("\nok\n")
        terminal.type("\x03")
        assert terminal.end() == 0
    assert "self-test PASS: 2 of 2 golden vectors equal" in told
    assert "info\ntinyproof 0.1.0 on native" in told  # the answer begins after what was typed


@pytest.mark.parametrize("board", ["native", "qemu_m4"])
def test_the_real_monitor_in_front_of_an_emulator(board: str, tmp_path: Path) -> None:
    log = tmp_path / "said.txt"
    command = in_emulator(
        board,
        built_with_features(board) / "firmware.elf",
        replay=recorded(tmp_path),
        log=str(log),
    )
    with Terminal(command, cwd=ROOT) as terminal:
        terminal.read_until("ready: type help\n")  # nothing of the start is lost
        told = {}
        for typed in ("help", "info", "live"):
            terminal.type(f"{typed}\r")
            told[typed] = terminal.read_until("\nok\n")
        terminal.type("\x03")
        assert terminal.end() == 0
    assert terminal.seen.count(f"tinyproof 0.1.0 on {board}\n") == 2
    assert "selftest  run the golden vectors" in told["help"]
    assert f"model     stub, sha256 {SHA}" in told["info"]
    unit = "µs" if board == "native" else "instructions"
    line = rf"class 5 +█{{19}}░ 0\.945  [\d,.]+ {unit}  mean of 2: class \d\n"
    assert re.search(line, told["live"])
    assert "scores" not in told["live"]
    assert re.search(r"(?m)^\S+ > live$", log.read_text())
    assert re.search(rf"(?m)^\S+ {line}", log.read_text())


def test_a_fault_in_front_of_the_monitor_ends_it(tmp_path: Path) -> None:
    command = in_emulator("qemu_m4", firmware("qemu_m4", "boot", tmp_path))
    with Terminal(command, cwd=ROOT) as terminal:
        assert terminal.end() == DeviceError.exit_code
    assert "PRECISERR), at address 0xf0000010" in terminal.seen
    assert re.search(r"  in model_step \(\S*model\.c:\d+\), pc 0x", terminal.seen)
    assert "error: qemu_m4: the emulator ended" in terminal.seen


@contextmanager
def served(board: Transport) -> Iterator[str]:
    """The board of a transport at a port of this machine, for one that connects; its URL."""
    stop = threading.Event()

    def carry(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(0.02)
        with connection:
            while not stop.is_set():
                try:
                    board.write(connection.recv(4096))
                except TimeoutError:
                    connection.sendall(board.read(0.02))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        thread = threading.Thread(target=carry, args=[listener], daemon=True)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join(20)


def test_the_real_monitor_over_a_socket(tmp_path: Path) -> None:
    with (
        closing(start(compile_app(tmp_path))) as board,
        served(board) as url,
        Terminal(at_port(url), cwd=ROOT) as terminal,
    ):
        terminal.read_until("--- Quit: Ctrl+C")
        terminal.type("help\r")
        assert "selftest  run the golden vectors" in terminal.read_until("\nok\n")
        terminal.type("\x03")
        assert terminal.end() == 0


def test_text_stays_readable_without_the_filter(tmp_path: Path) -> None:
    """Plain `pio device monitor`, which knows nothing of frames."""
    link = tmp_path / "ttyUSB0"
    command = monitor_command(str(link), 115200)
    at = command.index("--filter")
    with (
        PtyBoard(compile_app(tmp_path), link),
        Terminal([*command[:at], *command[at + 2 :]], cwd=ROOT) as terminal,
    ):
        terminal.read_until("--- Quit: Ctrl+C")
        terminal.type("info\r")
        assert "\nself-test PASS: 2 of 2 golden vectors equal\r\n" in terminal.read_until(
            "\nok\r\n"
        )
