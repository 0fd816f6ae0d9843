"""libFuzzer on the decoder, and on the application with stream and front end, a minute each.

The address and undefined-behaviour sanitizers watch; a crash leaves its input in the message.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from host_tools.link import frames, protocol
from host_tools.link.frames import Frame
from host_tools.link.protocol import MessageType
from tests.native_app import FIRMWARE, stub_with_features
from tests.test_protocol import document_examples

SECONDS = 60
HARNESSES = Path(__file__).with_name("fuzz")
CLANGS = ("clang", "clang-14", "clang-16", "clang-19")
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]


def fuzzer(folder: Path, harness: str, sources: list[Path], includes: list[Path]) -> Path:
    """The compiled harness; skips without clang or its library."""
    clang = next(filter(None, map(shutil.which, CLANGS)), None)
    if clang is None:
        pytest.skip("clang is not installed; type: sudo apt-get install clang libclang-rt-14-dev")
    program = folder / harness
    image = [f'-DIMAGE_{name}="{text}"' for name, text in
             (("KERNELS", "ref"), ("FRAMEWORK", "bare"), ("ENGINE", "aot"))]  # fmt: skip
    command = [clang, "-std=c11", "-O1", "-g", *SANITIZERS, *image, '-DBOARD_ID="fuzz"']
    command += [f"-I{path}" for path in includes]
    command += [str(HARNESSES / f"{harness}.c"), *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "cannot find" in done.stderr and "fuzzer" in done.stderr:
        pytest.skip("libFuzzer is not installed; type: sudo apt-get install libclang-rt-14-dev")
    assert done.returncode == 0, done.stderr
    return program


def run(program: Path, corpus: Path) -> int:
    """Fuzz for SECONDS; returns how many inputs ran. AssertionError with what a crash says.

    The peak of memory that libFuzzer asks for begins with that of this process, which a child
    inherits.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    done = subprocess.run(
        [str(program), f"-max_total_time={SECONDS}", "-timeout=10", f"-rss_limit_mb={peak + 1024}",
         "-malloc_limit_mb=64", "-max_len=8192", "-print_final_stats=1", "-artifact_prefix=./",
         str(corpus)],
        capture_output=True, text=True, timeout=SECONDS + 120, check=False, cwd=program.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    units = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    assert units is not None, done.stderr[-2000:]
    return int(units[1])


@pytest.mark.slow
def test_the_decoder_takes_any_bytes(tmp_path: Path) -> None:
    link = FIRMWARE / "link"
    program = fuzzer(tmp_path, "decoder", [link / "link_frame.c"], [link])
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, (_, wire) in enumerate(document_examples()):
        (corpus / str(number)).write_bytes(wire)
    executed = run(program, corpus)
    print(f"decoder: {executed:,} inputs in {SECONDS} s")
    assert executed > 10_000


def record(frame: Frame) -> bytes:
    """A frame as tests/fuzz/app.c reads it."""
    head = bytes([frame.type, frame.sequence % 256])
    return head + len(frame.payload).to_bytes(2, "little") + frame.payload


@pytest.mark.slow
def test_the_application_answers_any_requests(tmp_path: Path) -> None:
    gen = stub_with_features(tmp_path)
    parts = [FIRMWARE / part for part in ("app", "link", "features", "stream")] + [gen]
    sources = [s for part in parts for s in sorted(part.glob("*.c")) if s.name != "main.c"]
    board = FIRMWARE / "board"
    program = fuzzer(tmp_path, "app", sources, [*parts, board, FIRMWARE / "kernels"])
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    requests = []
    for _, wire in document_examples():
        (event,) = frames.FrameDecoder().feed(wire)
        if isinstance(event, Frame) and event.type < frames.REPLY:
            requests.append(record(event))
    hello = record(Frame(type=MessageType.HELLO, sequence=0))
    write = record(
        Frame(
            type=MessageType.WRITE_INPUT,
            sequence=1,
            payload=protocol.write_input_payload(0, 0, bytes(768)),
        )
    )
    for number, request in enumerate(requests):
        (corpus / str(number)).write_bytes(hello + write + request)
    (corpus / "all").write_bytes(hello + b"".join(requests))
    for text in (b"help\n", b"info\n", b"selftest\n", b"bench 2\n", b"live\n"):
        (corpus / text.split()[0].decode()).write_bytes(bytes([0x80 + len(text)]) + text)
    executed = run(program, corpus)
    print(f"application: {executed:,} inputs in {SECONDS} s")
    assert executed > 1_000
