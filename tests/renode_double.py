#!/usr/bin/env python3
"""A stand-in for the program `renode`: as much of its command line and monitor as tinyproof uses.

Behind the socket terminal runs a native firmware (DOUBLE_FIRMWARE). Every command that was obeyed
goes to DOUBLE_LOG. DOUBLE_FAULT is what goes wrong: `exit` at once, `silent` (no port), `refuse` (a
command of the script fails), `die` (after the first byte from the host), `hook` (a hook fails while
the firmware runs), `stubborn` (SIGTERM is ignored), `talk` (lines without end). As Renode it does
not end when its standard input does.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

FAULT = os.environ.get("DOUBLE_FAULT", "")
# As the monitor's tokens, of which a line must be made.
TOKENS = re.compile(
    r"\s+|(?P<comment>[#:].*)|(?P<variable>\$[\w.]+)|(?P<string>\"[^\"\\]*(?:\\.[^\"\\]*)*\")"
    r"|(?P<path>@(?:\\ |[^;\s])+)|(?P<hex>0x[0-9a-fA-F]+)|(?P<number>[+-]?\d+)|(?P<equal>\??=)"
    r"|(?P<literal>[\w.?-]+)"
)
SENSOR_RATE, SENSOR_STEPS = 59500, (732000,) * 3 + (1221730,) * 3
PERIPHERALS = {"nano33": {"cpu", "sysbus.twim0.imu"}, "esp32": {"cpu"}}


class Refused(Exception):
    """The text that the monitor prints."""


class Monitor:
    """Reads scripts as Renode does: a line that fails ends the script."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.macros: dict[str, list[str]] = {}
        self.machine = ""
        self.server: socket.socket | None = None
        self.hooks: dict[int, str] = {}
        self.samples = ""
        self.connected = False
        self.elf = ""

    def script(self, path: str) -> None:
        before = self.variables.get("ORIGIN")
        self.variables["ORIGIN"] = "@" + str(Path(path).parent)
        lines = iter(Path(path).read_text(encoding="utf-8").splitlines())
        for line in lines:
            if line.startswith("macro "):
                if next(lines) != '"""':
                    raise Refused(f"There was an error executing command '{line}'")
                self.macros[line.split()[1]] = list(iter(lambda: next(lines).strip(), '"""'))
            else:
                self.obey(line)
        if before is not None:
            self.variables["ORIGIN"] = before

    def obey(self, line: str) -> None:
        words = self.words(line)
        if not words:
            return
        log(" ".join(words))
        try:
            self.command(words)
        except (OSError, ValueError, IndexError, SyntaxError, KeyError) as error:
            told = f"There was an error executing command '{' '.join(words)}'\n{error}"
            raise Refused(told) from error

    def words(self, line: str) -> list[str]:
        found, at = [], 0
        while at < len(line):
            match = TOKENS.match(line, at)
            if match is None:
                if found and found[-1].startswith("$"):  # a path behind a variable
                    return self.words(
                        line[: at - len(found[-1])] + self.value(found[-1]) + line[at:]
                    )
                raise Refused(f"Could not tokenize here:\n{line}\n{'^':>{at + 1}}")
            at = match.end()
            if match.lastgroup not in (None, "comment"):
                found.append(match.group())
        return found

    def value(self, word: str) -> str:
        if not word.startswith("$"):
            return word
        if word[1:] not in self.variables:
            raise Refused(f"No such variable: {word}")
        return self.variables[word[1:]]

    def file(self, word: str) -> Path:
        path = Path(self.value(word).strip('"').removeprefix("@").replace(r"\ ", " "))
        if not path.is_file():
            raise Refused(f"Could not find file '{path}'")
        return path

    def command(self, words: list[str]) -> None:
        if len(words) == 3 and words[1] in ("=", "?="):
            name = words[0][1:]
            if words[1] == "=" or name not in self.variables:
                self.variables[name] = self.value(words[2])
            return
        match words:
            case ["include" | "i", path] if path.endswith(".cs"):
                self.file(path)
            case ["include" | "i", path]:
                self.script(str(self.file(path)))
            case ["mach", "create", name]:
                self.machine = name.strip('"')
            case ["machine", "LoadPlatformDescription", path]:
                self.file(path)
            case ["runMacro", "$reset"]:
                for line in self.macros["reset"]:
                    self.obey(line)
            case ["sysbus", "LoadELF", path]:
                if self.file(path).read_bytes()[:4] != b"\x7fELF":
                    raise ValueError("not an ELF file")
                self.elf = self.value(path)
            case ["cpu", "VectorTableOffset", "0x10000"] if self.machine == "nano33":
                pass
            case ["cpu", "AddHook", address, text] if self.machine:
                compile(text.strip('"'), "hook", "exec")
                self.hooks[int(address, 0)] = text
            case ["emulation", "CreateServerSocketTerminal", port, '"link"', "false"]:
                self.server = socket.create_server(("", int(self.value(port))))
            case ["connector", "Connect", "sysbus.uart0", "link"] if self.server:
                self.connected = True
            case ["sysbus.twim0.imu", "FeedSteps", path] if self.machine == "nano33":
                self.samples = self.file(path).read_text(encoding="ascii")
            case ["start"] if self.connected and self.elf:
                threading.Thread(target=self.serve, daemon=True).start()
            case _:
                raise Refused(f"No such command or device: {words[0]}")
        if FAULT == "refuse" and words[0] == "machine":
            raise ValueError("Error E00: could not resolve type")

    def serve(self) -> None:
        assert self.server is not None
        line, _ = self.server.accept()
        if self.samples:
            names = (b"ax", b"ay", b"az", b"wx", b"wy", b"wz")
            head = struct.pack("<II", SENSOR_RATE, len(names))
            for name, step in zip(names, SENSOR_STEPS, strict=True):
                unit = b"g" if name[:1] == b"a" else b"rad/s"
                head += struct.pack("<12s12sI", name, unit, step)
            numbers = [int(word) for word in self.samples.replace("\n", ",").split(",") if word]
            packed = b"".join(number.to_bytes(2, "little", signed=True) for number in numbers)
            Path("sensor").write_bytes(head + packed)
        firmware = subprocess.Popen(
            [os.environ["DOUBLE_FIRMWARE"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert firmware.stdin is not None and firmware.stdout is not None
        threading.Thread(target=self.pump, args=(firmware.stdout, line), daemon=True).start()
        while data := line.recv(4096):
            if FAULT == "die":
                print("Fatal error: an unhandled exception", flush=True)
                os.kill(os.getpid(), signal.SIGABRT)
            if FAULT == "hook":
                print("[ERROR] cpu: Python runtime error: no such attribute", flush=True)
            firmware.stdin.write(data)

    def pump(self, source: object, line: socket.socket) -> None:
        while data := source.read(4096):  # type: ignore[attr-defined]
            line.sendall(data)


def log(text: str) -> None:
    with Path(os.environ["DOUBLE_LOG"]).open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def main() -> int:
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print("Renode v1.16.1.0 (a stand-in)")
        return 0
    script = arguments.pop()
    if set(arguments) != {"--console", "--disable-gui", "--plain"}:
        print(f"unexpected options {arguments}")
        return 2
    log(f"pid {os.getpid()}")
    log(f"script {script}")
    if FAULT == "exit":
        print("Couldn't find a valid ICU package", file=sys.stderr)
        return 134
    if FAULT == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if FAULT == "talk":
        warning = b"[WARNING] sysbus: ReadDoubleWord from an unimplemented register\n" * 1000
        threading.Thread(
            target=lambda: [os.write(1, warning) for _ in iter(int, 1)], daemon=True
        ).start()
    if FAULT != "silent":
        try:
            Monitor().obey(f"i @{script}")
        except Refused as refusal:
            print(refusal, flush=True)
    sys.stdin.read()
    while True:  # as Renode's console at the end of its input
        time.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
