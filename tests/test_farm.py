"""Many boards at once: one table, the worst exit code, and nobody waits for a board that hangs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from host_tools.boards import ports as ports_module
from host_tools.boards.board import load_board
from host_tools.cli import main
from host_tools.emulators import EMULATORS
from host_tools.errors import DeviceError, UsageError
from host_tools.farm import choose
from host_tools.farm.choose import Port, connected, emulated_names, is_many
from host_tools.farm.job import Row, State
from host_tools.farm.junit import require_place, write_junit
from host_tools.farm.run import keep_worst
from host_tools.farm.table import show
from host_tools.link.serve import OPTION_BYTES, listen, serve
from host_tools.link.transport import SerialTransport, UsbPort
from host_tools.stages.engine import NEVER_RUN, differences
from host_tools.stages.graph import bench_stage, parity_stage
from model.errors import ConfigError
from tests.generators import GENERATORS
from tests.native_app import compile_app
from tests.pty_board import PtyBoard
from tests.tcp_board import TcpBoard

ROOT = Path(__file__).parents[1]
CASES = 20


def make_model(folder: Path, name: str, seed: int) -> Path:
    path = folder / f"{name}.tflite"
    path.write_bytes(GENERATORS["CONV_2D"](np.random.default_rng(seed)))
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two models and their native firmware, to be copied."""
    folder = tmp_path_factory.mktemp("farm")
    for name, seed in (("small", 3), ("other", 5)):
        model = make_model(folder, name, seed)
        options = ["--board", "native", "--project", str(folder)]
        assert main(["build", str(model), "--cases", str(CASES), *options]) == 0
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to stand in."""
    folder = tmp_path / "project"
    shutil.copytree(built, folder)
    monkeypatch.chdir(folder)
    return folder


def results(project: Path, name: str = "small") -> Path:
    return next((project / "build" / "models").glob(f"{name}-*"))


def firmware(project: Path, name: str = "small") -> Path:
    return results(project, name) / "native" / "firmware.elf"


def suites(path: Path) -> dict[str, ET.Element]:
    return {suite.attrib["name"]: suite for suite in check_junit(path)}


@pytest.mark.slow
def test_four_boards_on_two_addresses(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"]
    with ExitStack() as stack:
        boards = [stack.enter_context(TcpBoard(firmware(project), host)) for host in hosts]
        listed = ", ".join(f'"{board.url}"' for board in boards[1:3])
        (project / "farm.toml").write_text(f"[ports]\nany = [{listed}]\n")
        given = ["--port", boards[0].url, "--port", "auto", "--port", boards[3].url]
        junit = tmp_path / "reports" / "farm.xml"
        assert main(["parity", "small", *given, "--junit", str(junit)]) == 0
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if " passed" in line]
    assert [line.split()[:2] for line in lines] == [["native", b.url] for b in boards]
    assert all(f"{CASES}/{CASES} equal" in line for line in lines)
    assert set(suites(junit)) == {f"native on {board.url}" for board in boards}
    folder = results(project) / "native"
    assert len(list(folder.glob("parity-port-*.json"))) == 4
    kept = json.loads((folder / "parity-port.json").read_text())
    assert kept["port"] == boards[0].url and not (folder / "parity.json").exists()


def check_junit(path: Path) -> list[ET.Element]:
    """The suites of a file, whose structure is that of JUnit's XML as CI systems read it."""
    top = ET.fromstring(path.read_bytes())
    assert top.tag == "testsuites"
    cases = list(top.iter("testcase"))
    bad = {kind: [c for c in cases if c.find(kind) is not None] for kind in KINDS}
    for element in (top, *top):
        own = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(own) > 0
        for kind, plural in KINDS.items():
            assert int(element.attrib[plural]) == len([c for c in bad[kind] if c in own])
        assert float(element.attrib["time"]) >= 0 and element.attrib["name"]
    for suite in top:
        assert suite.tag == "testsuite"
        assert [child.tag for child in suite] == ["properties"] + ["testcase"] * (len(suite) - 1)
        assert all(set(p.attrib) == {"name", "value"} for p in suite[0])
        for case in suite.iter("testcase"):
            assert set(case.attrib) == {"name", "classname", "time"}
            assert len(case) <= 1 and {c.tag for c in case} <= {*KINDS, "system-out"}
            assert all(c.attrib.get("message") for c in case if c.tag in KINDS)
        names = [(c.attrib["classname"], c.attrib["name"]) for c in suite.iter("testcase")]
        assert len(set(names)) == len(names)
    return list(top)


KINDS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def damaged(project: Path, folder: Path) -> Path:
    """Firmware of the same model and run whose first weight is another."""
    gen = folder / "gen"
    shutil.copytree(results(project) / "gen" / "ref", gen)
    text = (gen / "model.c").read_text()
    first = re.search(r"weights\w*\[\d+\][^{;]*=\s*\{\s*(-?\d+)", text)
    assert first is not None, text[:2000]
    changed = f"{text[: first.start(1)]}{-int(first[1]) - 1}{text[first.end(1) :]}"
    (gen / "model.c").write_text(changed)
    return compile_app(folder, gen, kernels="ref")


@pytest.mark.slow
def test_nobody_waits_for_a_board_that_hangs(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {
        "good": firmware(project),
        "silent": None,
        "damaged": damaged(project, tmp_path),
        "other": firmware(project, "other"),
    }
    with ExitStack() as stack:
        boards = {name: stack.enter_context(TcpBoard(elf)) for name, elf in kinds.items()}
        given = [word for board in boards.values() for word in ("--port", board.url)]
        assert main(["parity", "small", *given, "--junit", "farm.xml"]) == 3
    said = capsys.readouterr()
    states = {
        name: next(line for line in said.out.splitlines() if board.url in line and "  " in line)
        for name, board in boards.items()
    }
    assert states["good"].split()[-1] == "passed"
    assert states["silent"].split()[-1] == states["other"].split()[-1] == "error"
    assert states["damaged"].split()[-1] == "failed" and " equal" in states["damaged"]
    assert "firmware holds model other_" in said.out and "first difference: case " in said.out
    assert "3 of 4 boards without success" in said.err
    found = suites(Path("farm.xml"))
    at = {name: next(s for n, s in found.items() if b.url in n) for name, b in boards.items()}
    counts = {name: (s.attrib["failures"], s.attrib["errors"]) for name, s in at.items()}
    assert counts["good"] == ("0", "0") and counts["silent"] == counts["other"] == ("0", "1")
    assert counts["damaged"] == ("2", "0")  # the outputs, and the self-test
    message = at["other"].find("testcase/error").attrib["message"]  # type: ignore[union-attr]
    assert "make flash MODEL=small-" in message
    kept = json.loads((results(project) / "native" / "parity-port.json").read_text())
    assert kept["port"] == boards["damaged"].url  # of several of a kind the worst


def test_a_time_limit_ends_a_board_and_all_that_it_started(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with TcpBoard(None) as silent:
        given = ["--port", silent.url, "--time-limit", "1", "--junit", "limit.xml"]
        assert main(["parity", "small", *given]) == 3
    said = capsys.readouterr().out
    assert f"{silent.url}: timed out: did not end in 1 s and was stopped" in said
    error = suites(Path("limit.xml"))[silent.url].find("testcase/error")
    assert error is not None and error.attrib["type"] == "timed out"


def test_an_interrupt_ends_all_of_them(project: Path) -> None:
    with TcpBoard(None) as first, TcpBoard(None) as second:
        command = [sys.executable, "-m", "tests.tinyproof", "parity", "small", "--junit", "i.xml"]
        process = subprocess.Popen(
            [*command, "--port", first.url, "--port", second.url],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: bool(first.lines and second.lines))
        workers = children(process.pid)
        assert len(workers) == 2
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.count("interrupted") >= 2 and "what was finished before is kept" in err
    assert all(suite.attrib["errors"] == "1" for suite in check_junit(Path("i.xml")))
    assert not [pid for pid in workers if Path(f"/proc/{pid}/cwd").exists()]


def wait_until(ready: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def test_what_cannot_run_here_is_left_out_unless_it_was_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = SimpleNamespace(name="labwired_esp32", missing=lambda: "not installed; get it")
    monkeypatch.setitem(EMULATORS, "labwired_esp32", lacking)
    monkeypatch.setattr(choose, "BOARDS", ["native", "esp32"])
    assert main(["bench", "small", "--board", "all", "--junit", "farm.xml"]) == 0
    said = capsys.readouterr().out
    assert " nanoseconds" in said
    (case,) = suites(Path("farm.xml"))["native on native"].iter("testcase")
    assert case.attrib["name"] == "counted" and "nanoseconds an inference" in str(case[0].text)
    assert "esp32 on -: skipped: emulator labwired_esp32: not installed; get it" in said
    assert suites(Path("farm.xml"))["esp32 on -"].attrib["skipped"] == "1"
    assert main(["parity", "small", "--board", "esp32,esp32-ref"]) == 2
    assert "esp32 on -: error: emulator labwired_esp32" in capsys.readouterr().out
    monkeypatch.setattr(choose, "BOARDS", ["esp32"])
    assert main(["bench", "small", "--board", "all"]) == 2
    assert "no board could be run here" in capsys.readouterr().err


def test_one_board_with_a_file_for_ci(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((results(project) / "gen/ref/manifest.json").read_text())
    bench = {"run_id": manifest["run_id"], "counts": 1234, "unit": "nanoseconds"}
    (results(project) / "native" / "bench.json").write_text(json.dumps(bench))
    assert main(["parity", "small", "--board", "native", "--junit", "farm.xml"]) == 0
    assert " 1,234 nanoseconds" in capsys.readouterr().out  # of the same run
    assert list(suites(Path("farm.xml"))) == ["native on native"]
    native = load_board("native")
    assert differences(parity_stage(results(project), native)) == []  # so a gate takes it
    assert differences(bench_stage(results(project), native)) == [NEVER_RUN]
    assert main(["parity", "small", "--board", "native", "--tap"]) == 0  # less than the stage does
    assert differences(parity_stage(results(project), native)) != []
    assert main(["parity", "small", "--board", "native,qemu_m4", "--dry-run"]) == 0
    assert "build-qemu_m4: would run" in capsys.readouterr().out


def test_ctrl_c_is_how_a_lent_port_ends(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("host_tools.commands.serve_port.serve", interrupted)
    with PtyBoard(firmware(project), tmp_path / "ttyUSB0") as board:
        assert main(["serve-port", "--port", str(board.port), "--listen", "127.0.0.1:0"]) == 0


def test_a_board_over_rfc_2217(project: Path, tmp_path: Path) -> None:
    with (
        PtyBoard(firmware(project), tmp_path / "ttyUSB0") as board,
        closing(SerialTransport(str(board.port))) as line,
        listen("127.0.0.1:0") as server,
    ):
        address = server.getsockname()
        threading.Thread(target=serving, args=(line, server), daemon=True).start()
        for garbage in GARBAGE:
            with socket.create_connection(address) as stranger, contextlib.suppress(OSError):
                stranger.sendall(garbage)
                stranger.settimeout(10)
                while len(garbage) > OPTION_BYTES and stranger.recv(4096):
                    pass  # until it is sent away
        assert main(["parity", "small", "--port", f"rfc2217://127.0.0.1:{address[1]}"]) == 0
    kept = json.loads((results(project) / "native" / "parity-port.json").read_text())
    assert kept["equal"] == CASES and kept["port"].startswith("rfc2217://")


GARBAGE = (
    b"\xff",
    b"\xff\xfa\x2c\x01\xff\xf0\xff\xfa\xff\xf0",
    bytes(range(256)),
    b"\xff\xf0",  # the end of an option that has not begun
    b"\xff\xfa\x2c\x03\x63\xff\xf0",  # parity 99
    b"\xff\xfa\x2c\x0a\xff\xf0",  # a mask without a value
    b"\xff\xfa" + 2 * OPTION_BYTES * b"a",  # an option that does not end
)


def serving(line: SerialTransport, server: socket.socket) -> None:
    with contextlib.suppress(OSError, DeviceError):  # the test is over
        serve(line, server)


@pytest.mark.parametrize("address", ["0.0.0.0:4000", "192.0.2.7:4000", "[::]:4000"])
def test_a_port_is_lent_to_this_computer_alone(address: str) -> None:
    with pytest.raises(UsageError, match="of this computer alone.*ssh -L 4000"):
        listen(address)


@pytest.mark.parametrize("address", ["", "4000", "host:4000", "127.0.0.1:x", "127.0.0.1:70000"])
def test_addresses_to_listen_at_are_checked(address: str) -> None:
    with pytest.raises(UsageError, match="LISTEN="):
        listen(address)


def test_nobody_answers_at_an_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    for scheme in ("socket", "rfc2217"):
        with pytest.raises(DeviceError, match="Nothing listens at that address"):
            SerialTransport(f"{scheme}://127.0.0.1:{number}")


def test_which_boards_are_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_many(None, ()) and not is_many("esp32", ("usb",))
    assert is_many("all", ()) and is_many("all-tflm", ()) and is_many("esp32,native", ())
    assert is_many(None, ("a", "b")) and is_many(None, ("auto",))
    assert emulated_names(None, ()) == (["qemu_m4"], True)
    assert emulated_names("nano33", ("auto",)) == ([], True)
    assert emulated_names("native,native,esp32", ("auto",)) == (["native", "esp32"], True)
    names, named = emulated_names("all-tflm", ())
    assert "qemu_m4-tflm" in names and not named
    with pytest.raises(UsageError, match="'all' alone"):
        emulated_names("all,native", ())
    on_desk = [
        UsbPort(name="/dev/a", text="Nano", usb="2341:805a"),
        UsbPort(name="/dev/b", text="its boot loader", usb="2341:005a"),
        UsbPort(name="/dev/c", text="a mouse", usb="dead:beef"),
    ]
    monkeypatch.setattr(ports_module, "usb_ports", lambda: on_desk)
    lines = ('any = ["socket://h:1"]', 'esp32 = ["rfc2217://h:2", "socket://h:1"]')
    Path("farm.toml").write_text("\n".join(["[ports]", *lines]))
    ours = Port(address="/dev/a", board=None)
    anybody = Port(address="socket://h:1", board=None)
    esp32 = Port(address="rfc2217://h:2", board="esp32")
    assert connected(None, ("auto",), "") == [ours, anybody, esp32]  # each once
    assert connected("all", ("auto", "/dev/a"), "") == [ours, anybody, esp32]
    assert [p.address for p in connected("esp32", ("auto",), "")] == ["socket://h:1", esp32.address]
    assert connected("esp32", ("/dev/x",), "") == [Port(address="/dev/x", board="esp32")]
    for text, kind, words in (
        ("[ports]\nnano34 = []", UsageError, "ports.nano34: no board 'nano34'"),
        ("[port]\nany = []", ConfigError, "did you mean 'ports'"),
        ("[ports]\nany = [1]", ConfigError, "expected str"),
        ('[ports]\nany = ["a", " "]', ConfigError, r"ports.any\[1\]: expected a serial port or"),
    ):
        Path("farm.toml").write_text(text)
        with pytest.raises(kind, match=words):
            connected(None, ("auto",), "")
    Path("farm.toml").unlink()
    monkeypatch.setattr(ports_module, "usb_ports", list)
    with pytest.raises(UsageError, match="no USB port has the identity of a board"):
        connected(None, ("auto",), "make parity PORT={port}")
    assert connected("all", ("auto",), "") == []  # emulated ones remain


SPELLINGS = (
    "socket://127.0.0.1:4000", "socket://localhost:4000", "SOCKET://LocalHost.:4000/",
    "socket://127.1:04000", "socket://[::1]:4000", "socket://[0:0::1]:4000",
    "socket://[::ffff:127.0.0.1]:4000", "rfc2217://127.0.0.1:4000", "socket://127.0.0.1:4000?logging=info",
)  # fmt: skip
OTHERS = (
    "socket://127.0.0.1:4001", "socket://127.0.0.2:4000", "socket://lab:4000", "socket://h:x",
    "socket://[::2]:4000", "socket://", "socket://[:4000", "spy://127.0.0.1:4000",
)  # fmt: skip


def test_one_board_under_many_spellings_of_its_address_is_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run would wait for a board that the first one has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ports_module, "usb_ports", list)
    lines = [f'any = ["{SPELLINGS[0]}"]', f"esp32 = {json.dumps([*SPELLINGS, *OTHERS])}"]
    Path("farm.toml").write_text("\n".join(["[ports]", *lines]))
    found = [port.address for port in connected(None, (*SPELLINGS, "auto"), "")]
    assert found == [SPELLINGS[0], *OTHERS]


@pytest.mark.parametrize(
    "given", [["--board", "all"], ["--junit", "x"], ["--time-limit", "3"], ["--port", "usb"]]
)
def test_a_library_runs_on_one_board(
    given: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["parity", "small", "--via", "library", *given]) == 2
    assert "VIA=library runs " in capsys.readouterr().err


@pytest.mark.parametrize("names", ["native,nano34", "native,", "all,native", "alle"])
def test_wrong_names_of_boards_are_told_at_once(
    names: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "small", "--board", names]) == 2
    assert capsys.readouterr().out == ""


def test_ports_of_make_have_spaces_between(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINYPROOF_PORT", "socket://h:1 socket://h:2")
    assert main(["parity", "small", "--dry-run"]) == 0
    assert "the firmware at socket://h:2 is taken as it is" in capsys.readouterr().out


def test_texts_of_boards_are_harmless_in_xml_and_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = 'a<b>&"]]>\x00\x1b[2J\ud800\uffff\x0b' + "[bold red]x[/]"
    log = tmp_path / "log"
    log.write_bytes(evil.encode("utf-8", "surrogatepass") + b"\xff\nlast")
    rows = [
        Row(board=evil, where=evil, state=State.ERROR, code=3, message=evil, log=log),
        Row(board="b", where="p", state=State.SKIPPED, message=evil),
    ]
    write_junit(tmp_path / "x.xml", "parity", rows)
    (first, second) = check_junit(tmp_path / "x.xml")
    error = first.find("testcase/error")
    assert error is not None and "<b>&" in error.attrib["message"] and "last" in str(error.text)
    assert second.find("testcase/skipped") is not None
    show("parity", rows)
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x00" not in said and "[bold red]x[/]" in said


def test_a_part_is_no_proof_and_repeats_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {
        "cases": 20, "equal": 7, "missing": 13, "partial": "interrupted", "golden_cases": 551,
        "first_difference": None, "reference": "tflite_micro", "layers": None,
        "selftest": {"cases": 2, "failures": 0}, "float_comparison": None, "float_missing": "no",
        "model_sha256": "0123456789", "link": {"retries": 4},
    }  # fmt: skip
    row = Row(board="b", where="p", state=State.ERROR, code=3, message="gone", result=result)
    show("parity", [row])
    assert " 7/20 equal (551 kept)  " in (said := capsys.readouterr().out)
    assert said.splitlines()[1].split()[-4] == "4"
    write_junit(tmp_path / "x.xml", "parity", [row])
    (suite,) = check_junit(tmp_path / "x.xml")
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("0", "1")
    outputs = suite.find("testcase[@name='every output byte']/skipped")
    assert (
        outputs is not None
        and "13 of 20 cases have no answer: interrupted" in outputs.attrib["message"]
    )


def test_of_several_readings_of_drift_the_worst_is_kept(tmp_path: Path) -> None:
    rows = []
    for name, code in (("a", 0), ("b", 1), ("c", 1)):
        file = tmp_path / "nano33" / f"drift-port-{name}.json"
        file.parent.mkdir(exist_ok=True)
        row = {"test": "mean x", "psi": 0.5, "usual_psi": 0.1, "p": 0.01, "alarm": bool(code)}
        result = {"rows": [row], "name": name}
        file.write_text(json.dumps(result))
        state = State.FAILED if code else State.PASSED
        rows.append(
            Row(board="nano33", where=name, state=state, code=code, file=file, result=result)
        )
    keep_worst(rows, "drift", tmp_path)
    for place in ("nano33/drift-port.json", "drift.json"):
        assert json.loads((tmp_path / place).read_text())["name"] == "b"
    write_junit(tmp_path / "x.xml", "drift", rows)
    assert [s.attrib["failures"] for s in check_junit(tmp_path / "x.xml")] == ["0", "1", "1"]


def test_a_place_that_takes_no_junit_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "x.xml"):
        with pytest.raises(UsageError, match=r"JUNIT=.*; name a file in a folder"):
            require_place(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "null", tmp_path / ("x" * 250)):
        with pytest.raises(UsageError, match=r"JUNIT=.*; name a file in a folder"):
            require_place(path)
    require_place(tmp_path / "new" / "x.xml")
