"""A device over lines that lose, damage and delay bytes, and lines that end or stay silent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.emulators.native import Native
from host_tools.emulators.process import start_on_pipes
from host_tools.errors import DeviceError
from host_tools.link import frames, protocol
from host_tools.link.device import Device
from host_tools.link.frames import Frame
from host_tools.link.protocol import MessageType
from host_tools.link.transport import PipeTransport, Transport
from tests.faulty import Fault, FaultKind, FaultyTransport
from tests.native_app import changed_stub, compile_app, start

WRITE = MessageType.WRITE_INPUT


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


def stub_output(data: bytes) -> list[bytes]:
    return [bytes(2 * value % 256 for value in data[:7])]


def faulty(
    stub: Path, *, on_write: list[Fault] | None = None, on_read: list[Fault] | None = None
) -> Device:
    transport = FaultyTransport(start(stub), on_write=on_write or [], on_read=on_read or [])
    return Device(transport, timeout_s=0.2, run_timeout_s=30.0)


# The conversation begins with about 300 bytes of banner, 190 of HELLO and 16 of HELLO request; the
# offsets below hit every part of the two cases that follow.
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from([FaultKind.DROP, FaultKind.FLIP, FaultKind.DUPLICATE]),
    at=st.integers(0, 1700),
    count=st.integers(1, 40),
    mask=st.integers(1, 255),
)


@settings(max_examples=40)
@given(on_write=st.lists(FAULTS, max_size=2), on_read=st.lists(FAULTS, max_size=2))
def test_faults_never_change_a_result(
    stub: Path, on_write: list[Fault], on_read: list[Fault]
) -> None:
    with faulty(stub, on_write=on_write, on_read=on_read) as device:
        for value in (3, 77):
            data = bytes([value, 0, 10, 13, 255, 2, 1]) + bytes(761)
            assert device.run([data]) == stub_output(data)


@pytest.mark.parametrize("at", range(16, 16 + 830, 37))
def test_a_byte_lost_anywhere_in_a_case_is_made_up_for(stub: Path, at: int) -> None:
    with faulty(stub, on_write=[Fault(kind=FaultKind.DROP, at=at)]) as device:
        assert device.run([b"\x05" * 768]) == [b"\x0a" * 7]


def test_a_late_reply_is_not_taken_for_the_next_one(stub: Path) -> None:
    delays = [Fault(kind=FaultKind.DELAY, at=at) for at in range(300, 900, 60)]
    with faulty(stub, on_read=delays) as device:
        for value in range(5):
            assert device.run([bytes([value]) * 768]) == [bytes([2 * value]) * 7]


def test_a_receiver_that_is_deaf_while_it_works_is_still_served(stub: Path) -> None:
    request = len(frames.encode(Frame(type=1, sequence=1)))
    deaf = Fault(kind=FaultKind.DROP, at=request + 200, count=600)
    with faulty(stub, on_write=[deaf]) as device:
        for value in range(4):
            assert device.run([bytes([value]) * 768]) == [bytes([2 * value]) * 7]


def wire_bytes(kind: MessageType, payload: bytes = b"") -> int:
    return len(frames.encode(Frame(type=kind, sequence=1, payload=payload)))


def test_a_lost_frame_is_noticed_by_the_reply_to_the_next(stub: Path) -> None:
    data = bytes(range(1, 97)) * 8
    write = wire_bytes(WRITE, protocol.write_input_payload(0, 0, data))
    begins = wire_bytes(MessageType.HELLO) + wire_bytes(MessageType.RESET)
    lost = Fault(kind=FaultKind.DROP, at=begins, count=write)
    line = FaultyTransport(start(stub), on_write=[lost])
    begin = time.monotonic()
    with Device(line, timeout_s=60.0) as device:
        assert device.run([data]) == stub_output(data)
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("probes", range(4))
def test_a_lost_run_is_noticed_by_a_probe_behind_it(stub: Path, probes: int) -> None:
    """The first `probes` HELLOs behind the run get lost with it."""
    data = bytes(range(1, 97)) * 8
    write = wire_bytes(WRITE, protocol.write_input_payload(0, 0, data))
    begins = wire_bytes(MessageType.HELLO) + wire_bytes(MessageType.RESET) + write
    count = wire_bytes(MessageType.INVOKE) + probes * wire_bytes(MessageType.HELLO)
    lost = Fault(kind=FaultKind.DROP, at=begins, count=count)
    line = FaultyTransport(start(stub), on_write=[lost])
    begin = time.monotonic()
    with Device(line, timeout_s=0.2, run_timeout_s=60.0) as device:
        device.write_inputs([data])
        device.invoke()
        assert device.read_outputs() == stub_output(data)
    assert time.monotonic() - begin < 20


class Counting:
    """Counts what arrives, to find where in the stream a reply begins."""

    def __init__(self, inner: Transport) -> None:
        self.name = inner.name
        self.write = inner.write
        self.close = inner.close
        self.received = 0
        self._inner = inner

    def read(self, timeout_s: float) -> bytes:
        data = self._inner.read(timeout_s)
        self.received += len(data)
        return data


def test_a_lost_reply_to_a_run_runs_the_case_again(stub: Path) -> None:
    data = bytes(range(1, 97)) * 8
    counting = Counting(start(stub))
    with Device(counting) as device:
        device.write_inputs([data])
    lost = Fault(kind=FaultKind.DROP, at=counting.received, count=19)
    with faulty(stub, on_read=[lost]) as device:
        device.write_inputs([data])
        device.invoke()
        assert device.read_outputs() == stub_output(data)


def test_a_line_that_always_fails_ends_with_an_error(stub: Path) -> None:
    broken = Fault(kind=FaultKind.FLIP, at=400, count=100_000, mask=0x10)
    with (
        faulty(stub, on_write=[broken]) as device,
        pytest.raises(
            DeviceError,
            match=r"faulty native: no reply to WRITE_INPUT in 1 s, nor to \d+ HELLOs .*cable",
        ),
    ):
        for _ in range(2):
            device.run([bytes(768)])


def silent_pipe() -> tuple[PipeTransport, Callable[[bytes], object]]:
    from_device, device_writes = os.pipe()
    device_reads, to_device = os.pipe()

    def close() -> None:
        os.close(device_writes)
        os.close(device_reads)

    transport = PipeTransport("a pipe", from_device, to_device, on_close=close)
    return transport, lambda data: os.write(device_writes, data)


def test_silence_names_the_transport_the_wait_and_what_to_check() -> None:
    transport, _ = silent_pipe()
    with (
        Device(transport, start_s=0.1) as device,
        pytest.raises(
            DeviceError, match=r"a pipe: no answer to HELLO in 0 s, nothing arrived.*make flash"
        ),
    ):
        device.hello()


def test_other_firmware_is_told_from_silence() -> None:
    transport, say = silent_pipe()
    say(b"Hello, I am blinky\r\n")
    with (
        Device(transport, start_s=0.1) as device,
        pytest.raises(
            DeviceError, match=r"20 bytes arrived, but no good frame.*'Hello, I am blinky'"
        ),
    ):
        device.hello()


def test_firmware_that_hangs_in_a_run_is_reported(tmp_path: Path) -> None:
    gen = changed_stub(
        tmp_path, "model.c", "arena[768 + i] = arena[i];", "while (arena[0] == 14) {}"
    )
    program = compile_app(tmp_path, gen)
    transport = start(program)
    try:
        device = Device(transport, timeout_s=0.1, run_timeout_s=0.3)
        device.write_inputs([b"\x07" * 768])
        with pytest.raises(DeviceError, match="native: INVOKE did not end in 0 s; reset"):
            device.invoke()
    finally:
        transport.close()


def test_a_program_that_ends_says_how() -> None:
    transport = start_on_pipes(
        "fails", None, ["/bin/sh", "-c", "echo broken pipe dream >&2; exit 7"]
    )
    with Device(transport) as device, pytest.raises(DeviceError) as caught:
        device.hello()
    assert "fails: the connection ended: " in str(caught.value)
    assert "ended with status 7" in str(caught.value)
    assert "broken pipe dream" in str(caught.value)


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"no program .*nothing; build it"):
        Native().start(tmp_path / "nothing")


def test_a_closed_transport_says_so(stub: Path) -> None:
    transport = start(stub)
    transport.close()
    transport.close()
    with pytest.raises(DeviceError, match="was closed"):
        transport.read(0.0)


def test_two_full_pipes_do_not_lock_up() -> None:
    transport = start_on_pipes("cat", None, ["/bin/cat"])
    sent = bytes(range(256)) * 8192
    transport.write(sent)
    received = b""
    while len(received) < len(sent):
        received += transport.read(5.0)
    assert received == sent
    transport.close()
