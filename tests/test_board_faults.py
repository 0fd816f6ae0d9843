"""A fault on a board: reported over the link and as text, decoded by the ELF file of that image."""

from __future__ import annotations

import functools
import random
import re
import struct
import time
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.boards.board import load_board
from host_tools.build.elf import symbol_address
from host_tools.build.firmware import build_firmware
from host_tools.cli import main
from host_tools.emulators import EMULATORS
from host_tools.emulators.labwired_nrf52840 import SYSTEM
from host_tools.errors import DeviceError
from host_tools.link import frames, protocol
from host_tools.link.backtrace import Image, call_chain, describe, explain, read_image
from host_tools.link.device import Device
from host_tools.link.fault import ARM, RISCV, XTENSA, Fault, find_faults, parse_fault
from host_tools.link.frames import REPLY, Frame, FrameDecoder
from host_tools.link.line import Faulted
from host_tools.link.protocol import MessageType
from host_tools.link.transport import Transport
from tests.firmware_builds import STUB, built, write_gen
from tests.native_app import FIRMWARE
from tests.sweeps import sweep
from tests.test_protocol import document_examples

STEP = "if (step == 0) {"
IF_ASKED = "if (arena[0] == 77) "  # so that the self-test at boot passes
# What the step of the stub model is made to do, by name.
INJECTED = {
    "store": f"{IF_ASKED}*(volatile uint32_t *)0xF0000010u = 1;",
    "null": f"{IF_ASKED}{{ void (*volatile none)(void) = 0; none(); }}",
    "divide": f"{IF_ASKED}{{ volatile int32_t zero = 0; arena[1] = (uint8_t)(100 / zero); }}",
    "undefined": f'{IF_ASKED}__asm__ volatile(".byte 0, 0xde, 0, 0");',
    # QEMU takes writes below this machine's RAM and forgets them; the chip faults there.
    "overflow": f"{IF_ASKED}{{ volatile uint8_t deep[600]; deep[9] = 1; "
    "if (step > 20) { *(volatile uint32_t *)0xF0000010u = 1; } "
    "model_step(arena, step + 1); arena[1] = deep[9]; }",
    "recursion": f"{IF_ASKED}{{ volatile uint8_t deep[600]; deep[9] = 1; "
    "model_step(arena, step + 1); arena[1] = deep[9]; }",
    "unimp": f'{IF_ASKED}__asm__ volatile("unimp");',
    "assembly": f"{IF_ASKED}assembly();",
    "taken": "board_fault_taken();",
    "boot": "*(volatile uint32_t *)0xF0000010u = 1;",
}
ASSEMBLY = (
    "void assembly(void);\n"
    '__asm__(".text\\n.thumb_func\\n.type assembly, %function\\nassembly: push {r4-r9, lr}\\n'
    "mov r4, #0xF0000000\\nbl board_counter\\nsub sp, sp, #24\\nldr r0, [r4, #16]\\n"
    'add sp, sp, #24\\npop {r4-r9, pc}\\n.size assembly, . - assembly\\n");\n'
)
CALLERS = ["model_invoke", "app_model_invoke"]
OUTERMOST = ["app_run", "main", "board_start"]
CAUSES = {
    ("store", ARM): r"read or write where nothing is \(PRECISERR\), at address 0xf0000010",
    ("store", XTENSA): r"read or write where nothing is \(EXCCAUSE 15\), at address 0xf0000010",
    ("null", ARM): r"call to an address that is no function's, such as 0 \(INVSTATE\)",
    ("null", XTENSA): r"illegal instruction \(EXCCAUSE 0\)",
    ("divide", ARM): r"division by zero \(DIVBYZERO\)",
    ("divide", XTENSA): r"division by zero \(EXCCAUSE 6\)",
    ("undefined", ARM): r"undefined instruction \(UNDEFINSTR\)",
    (
        "store",
        RISCV,
    ): r"write where nothing is or none is allowed \(mcause 7\), at address 0xf0000010",
    (
        "null",
        RISCV,
    ): r"instruction fetched from where nothing is \(mcause 1\), at address 0x00000000",
    ("unimp", RISCV): r"undefined instruction \(mcause 2\)",
}
MACHINES = {"qemu_m4": ARM, "qemu_xtensa": XTENSA, "nano33": ARM, "qemu_riscv32": RISCV}


@functools.cache
def firmware(board_id: str, name: str, folder: Path) -> Path:
    """The ELF file of a firmware whose model does what INJECTED says."""
    change = {STEP: f"{INJECTED[name]}\n    {STEP}"}
    if name == "taken":
        change["void model_reset"] = "_Noreturn void board_fault_taken(void);\nvoid model_reset"
    if name == "assembly":
        change["void model_reset"] = f"{ASSEMBLY}void model_reset"
    out_dir = folder / f"{board_id}-{name}"
    gen = write_gen(folder / f"{board_id}-{name}-gen", change)
    build_firmware(load_board(board_id), gen, out_dir)
    return out_dir / "firmware.elf"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


def start(board_id: str, elf: Path) -> Transport:
    return EMULATORS[load_board(board_id).emulators[0]].start(elf)


def faulted(board_id: str, elf: Path) -> str:
    """What the host says of a run that ends in a fault."""
    with Device(start(board_id, elf), images=[elf]) as device:
        assert device.info.model_name == "stub"
        with pytest.raises(Faulted) as told:
            device.run([bytes([77]) * 768])
    return str(told.value)


def functions(told: str) -> list[str]:
    return re.findall(r"^  (?:in|called from) (\w+)", told, re.MULTILINE)


def line_of(name: str) -> str:
    text = (STUB / "model.c").read_text()
    before = text[: text.index(STEP)]
    return f"gen/model.c:{before.count(chr(10)) + 1}"


@pytest.mark.parametrize(
    ("board_id", "name"),
    sweep(
        [
            ("qemu_m4", "store"),
            ("qemu_m4", "null"),
            ("qemu_m4", "divide"),
            ("qemu_m4", "undefined"),
            ("qemu_xtensa", "store"),
            ("qemu_xtensa", "null"),
            ("qemu_xtensa", "divide"),
            ("nano33", "store"),
            ("nano33", "undefined"),
            ("qemu_riscv32", "store"),
            ("qemu_riscv32", "null"),
            ("qemu_riscv32", "unimp"),
        ],
        [
            ("qemu_m4", "store"),
            ("qemu_m4", "divide"),
            ("qemu_xtensa", "null"),
            ("nano33", "undefined"),
            ("qemu_riscv32", "unimp"),
        ],
    ),
)
def test_a_fault_is_told_with_cause_line_and_calls(board_id: str, name: str, folder: Path) -> None:
    elf = firmware(board_id, name, folder)
    told = faulted(board_id, elf)
    assert re.search(CAUSES[name, MACHINES[board_id]], told), told
    chain = functions(told)
    if name == "null":
        assert "0x00000000, which is no function" in told
        assert chain.pop(0) == "0x00000000"
    if (name, board_id) == ("divide", "qemu_xtensa"):
        assert chain.pop(0) == "__divsi3"  # assembly language without frame information
    assert chain[:3] == ["model_step", *CALLERS], told
    assert chain[-3:] == OUTERMOST, told
    assert f"model_step ({line_of(name)})" in told
    assert "guess" not in told
    assert f"image {elf}" in told
    assert "Reset the board" in told


def test_a_chain_goes_on_behind_assembly_language_that_has_used_the_stack(folder: Path) -> None:
    told = faulted("qemu_m4", firmware("qemu_m4", "assembly", folder))
    assert re.search(r"^  in assembly(, pc| \(gen/model\.c)", told, re.MULTILINE), told
    assert functions(told)[:4] == ["assembly", "model_step", *CALLERS], told
    assert functions(told)[-3:] == OUTERMOST


def test_a_stack_overflow_is_told_as_one(folder: Path) -> None:
    told = faulted("qemu_m4", firmware("qemu_m4", "overflow", folder))
    assert "stack overflow" in told
    assert "as a guess" in told
    assert "model_step (gen/model.c:" in told


def test_a_stack_overflow_at_the_guard_of_risc_v_is_told_as_one(folder: Path) -> None:
    told = faulted("qemu_riscv32", firmware("qemu_riscv32", "recursion", folder))
    assert re.search(r"fault: stack overflow; write .*\(mcause 7\), at address 0x80", told), told
    assert functions(told)[0] == "model_step"


def test_division_by_zero_is_no_fault_on_risc_v(folder: Path) -> None:
    elf = firmware("qemu_riscv32", "divide", folder)
    with Device(start("qemu_riscv32", elf), images=[elf]) as device:
        device.run([bytes([77]) * 768])


def test_without_its_image_a_fault_is_told_in_numbers(folder: Path) -> None:
    elf = firmware("qemu_m4", "store", folder)
    other = built("qemu_m4")[0] / "firmware.elf"
    for images in ([], [other], [other.parent / "no.elf"]):
        with (
            Device(start("qemu_m4", elf), images=images) as device,
            pytest.raises(Faulted, match=r"PRECISERR.*\n  pc=0x0000\w{4} lr=") as told,
        ):
            device.run([bytes([77]) * 768])
        assert "called from" not in str(told.value)
        assert f"build id {read_image(elf).build_id.hex()[:16]}" in str(told.value)
    assert "another image" in describe(find_faults(said("qemu_m4", elf))[0], [other])[0]


def said(board_id: str, elf: Path) -> bytes:
    """All that a firmware says on its link until it stops, and the text of the fault."""
    transport = start(board_id, elf)
    data, asked, deadline = b"", False, time.monotonic() + 60
    write = protocol.write_input_payload(0, 0, bytes([77]) * 768)
    kinds = (MessageType.HELLO, MessageType.WRITE_INPUT, MessageType.INVOKE)
    case = [(kind, write if kind == MessageType.WRITE_INPUT else b"") for kind in kinds]
    try:
        while time.monotonic() < deadline:
            data += transport.read(1.0)
            if b"ready" in data and not asked:
                asked = True
                for kind, payload in case:
                    transport.write(frames.encode(Frame(type=kind, sequence=1, payload=payload)))
    except DeviceError as error:
        assert re.search(r"status (99|79|71)", str(error))
        return data + str(error).encode() + b"\n"
    finally:
        transport.close()
    raise AssertionError(data)


@pytest.mark.parametrize("board_id", ["qemu_m4", "qemu_xtensa", "qemu_riscv32"])
def test_text_tells_the_same_as_the_frame(board_id: str, folder: Path) -> None:
    elf = firmware(board_id, "store", folder)
    data = said(board_id, elf)
    (both,) = find_faults(data)
    assert len(both.build_id) == 20
    (text,) = find_faults(data[data.index(b"fault:") :])
    assert text.build_id == both.build_id[:8]
    assert text.registers.items() <= both.registers.items()
    assert both.stack.startswith(text.stack[: len(both.stack)])
    assert len(text.stack) == min(256, len(text.stack))
    image = read_image(elf)
    assert call_chain(text, image) == call_chain(both, image)
    assert image.build_id == both.build_id


def test_decode_reads_a_log(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elf = firmware("qemu_m4", "store", folder)
    results = tmp_path / "build" / "recipes" / "motion" / "qemu_m4"
    results.mkdir(parents=True)
    results.joinpath("firmware.elf").write_bytes(elf.read_bytes())
    text = said("qemu_m4", elf)
    log = tmp_path / "said.txt"
    lines = text[text.index(b"fault:") :].splitlines()
    log.write_bytes(b"".join(b"12:00:01.25 > " + line + b"\r\n" for line in lines))
    words = ["decode", "motion", "--project", str(tmp_path), "--log", str(log)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert functions(printed)[0] == "model_step"
    assert functions(printed)[-3:] == OUTERMOST
    assert main([*words, "--board", "qemu_m4"]) == 0
    capsys.readouterr()
    results.joinpath("firmware.elf").write_bytes(
        (built("qemu_m4")[0] / "firmware.elf").read_bytes()
    )
    assert main(words) == 1
    captured = capsys.readouterr()
    assert "is another image" in captured.out
    assert "name the recipe or model that was flashed" in captured.err
    log.write_text("tinyproof 0.1.0 on qemu_m4\nready: type help\n")
    assert main(words) == 1
    assert "no fault found" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "none")]) == 2


@pytest.mark.parametrize(
    ("board_id", "name", "told"),
    [
        ("nano33", "boot", r"model_step \(gen/model\.c:"),
        # labwired's ESP32-C3 ends at an exception, so its handler is called.
        ("esp32c3", "taken", r"\(mcause 0\)"),
    ],
)
def test_a_stopped_chip_tells_its_fault_again_to_a_host_that_came_later(
    board_id: str, name: str, told: str, folder: Path
) -> None:
    elf = firmware(board_id, name, folder)
    transport = start(board_id, elf)
    decoder, found = FrameDecoder(), 0
    deadline = time.monotonic() + 60
    try:
        while found == 0:
            assert time.monotonic() < deadline
            found += sum(isinstance(event, Frame) for event in decoder.feed(transport.read(1.0)))
        assert transport.read(0.3) == b""
        device = Device(transport, images=[elf], start_s=30)
        with pytest.raises(Faulted, match=told):
            device.hello()
        assert device.log[-1].startswith("stack 0x2000" if name == "boot" else "build=")
    finally:
        transport.close()


def test_a_report_survives_what_was_being_sent() -> None:
    reply = frames.encode(Frame(type=0x83, sequence=1, payload=bytes(40)))[:20]
    fault = frames.encode(Frame(type=MessageType.FAULT | REPLY, sequence=0, payload=EXAMPLE))
    assert len(find_faults(reply + b"\r\nfault: pc=0x" + fault)) == 1


EXAMPLE = next(
    event.payload
    for title, wire in document_examples()
    if "BFAR" in title
    for event in FrameDecoder().feed(wire)
    if isinstance(event, Frame)
)


def test_the_document_s_example() -> None:
    fault = parse_fault(EXAMPLE)
    assert fault.machine == ARM
    assert fault.registers["bfar"] == 0xF0000010
    assert fault.registers["r12"] == 12
    assert fault.stack == struct.pack("<2I", 0x20001FB0, 0x00010B9D)
    assert not fault.lost


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "at least 28 bytes"),
        (EXAMPLE[:27], "at least 28 bytes"),
        (EXAMPLE[:20] + b"\x08\x00" + EXAMPLE[22:], "machine 8"),
        (EXAMPLE[:22] + b"\xff" + EXAMPLE[23:], "255 registers"),
        (EXAMPLE[:100], "21 registers in 100 bytes"),
    ],
)
def test_a_report_that_cannot_be_right_is_refused(payload: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_fault(payload)
    assert "its report is no good" in explain(payload, [])


@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=1024), at=st.integers(0, len(EXAMPLE) - 1))
def test_any_report_is_told_in_printable_words(payload: bytes, at: int) -> None:
    elf = built("qemu_m4")[0] / "firmware.elf"
    changed = EXAMPLE[:at] + payload[: len(EXAMPLE) - at]
    for data in (payload, changed, EXAMPLE[:28] + payload):
        assert explain(data, [elf]).replace("\n", "").isprintable()
    wire = frames.encode(Frame(type=MessageType.FAULT | REPLY, sequence=0, payload=changed))
    assert len(find_faults(payload + wire)) <= 2


@settings(max_examples=100, deadline=None)
@given(
    registers=st.lists(st.integers(0, 2**32 - 1), min_size=13, max_size=13),
    pc=st.integers(0, 0x3000),
    stack=st.binary(max_size=900),
)
def test_any_registers_and_stack_give_a_bounded_chain(
    registers: list[int], pc: int, stack: bytes
) -> None:
    image = _image()
    named = {f"r{n}": value for n, value in enumerate(registers)}
    fault = Fault(
        machine=ARM,
        registers={**named, "pc": pc, "lr": registers[0] % 0x2000, "sp": registers[1]},
        build_id=image.build_id,
        stack_at=registers[1],
        stack=stack,
    )
    assert 1 <= len(call_chain(fault, image)) <= 40


@functools.cache
def _image() -> Image:
    return read_image(built("qemu_m4")[0] / "firmware.elf")


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_elf_file_costs_the_chain_and_nothing_else(
    seed: int, folder: Path, tmp_path: Path
) -> None:
    elf = firmware("qemu_m4", "store", folder)
    (fault,) = _faults(elf)
    chooser = random.Random(seed)
    data = bytearray(elf.read_bytes())
    with elf.open("rb") as file:
        parts = [
            (s["sh_offset"], s["sh_size"])
            for s in ELFFile(file).iter_sections()
            if s.name.startswith((".debug", ".symtab", ".strtab", ".shstrtab")) and s["sh_size"]
        ]
    parts += [(0, 52), (struct.unpack_from("<I", data, 32)[0], 400)]  # headers
    offset, size = chooser.choice(parts)
    for _ in range(chooser.choice((1, 8, 200))):
        data[offset + chooser.randrange(size)] = chooser.randrange(256)
    broken = tmp_path / "firmware.elf"
    broken.write_bytes(data)
    began = time.monotonic()
    text, _ = describe(fault, [broken])
    assert text.startswith("the board has stopped by a fault: read or write where nothing is")
    assert text.replace("\n", "").isprintable()
    assert time.monotonic() - began < 20


@functools.cache
def _faults(elf: Path) -> list[Fault]:
    return find_faults(said("qemu_m4", elf))


@pytest.mark.parametrize(
    "board_id",
    sweep(
        ["qemu_m4", "nano33", "qemu_xtensa", "esp32", "qemu_riscv32", "esp32c3"],
        ["nano33", "esp32"],
    ),
)
def test_the_build_id_lies_in_the_image(board_id: str) -> None:
    elf = built(board_id)[0] / "firmware.elf"
    image = read_image(elf)
    assert len(set(image.build_id)) > 8
    raw = elf.with_name("firmware.bin")
    if raw.exists():
        assert raw.read_bytes().count(image.build_id) == 1
    assert symbol_address(elf, "__build_note") is not None


@pytest.mark.parametrize("running", [0, 1])
def test_a_watchdog_that_runs_already_is_fed(running: int) -> None:
    labwired = pytest.importorskip("labwired")
    elf = built("nano33")[0] / "firmware.elf"
    block = symbol_address(elf, "reg_wdt")
    assert block is not None
    sim = labwired.Sim(elf, chip=None, system=SYSTEM)
    sim.write_u32(block + 0x400, running)
    sim.run_for("20ms")
    fed = [sim.read_u32(block + 0x600 + 4 * channel) for channel in range(8)]
    assert fed == [0x6E524635 * running] * 8


def test_code_without_lines_gets_none_of_its_neighbours() -> None:
    """memcpy is assembly language; the C function before it ends where it begins, or before."""
    image = _image()
    elf = built("qemu_m4")[0] / "firmware.elf"
    for name in ("memcpy", "memset"):
        start = symbol_address(elf, name)
        assert start is not None
        line = image.line((start & ~1) + 2)
        assert line == "" or "memory.S" in line
    start = symbol_address(elf, "board_counter")
    assert start is not None
    assert image.line(start & ~1).startswith("firmware/board/mps2/board.c:")


def of_code(machine: int, address: int, code: bytes) -> Image:
    """An image of nothing but these bytes."""
    image = Image.__new__(Image)
    image.machine = machine
    image._code = [(address, code)]
    return image


@pytest.mark.parametrize(
    ("code", "length", "offset"),
    [
        # What GNU as makes of rv32imc; the offset is that of the target from the call.
        (0x7FC000EF, 4, 0x7FC),  # jal ra
        (0x805FF0EF, 4, -0x7FC),
        (0x001000EF, 4, 0x800),
        (0x800000EF, 4, -0x100000),
        (0x54A550EF, 4, 0x5554A),
        (0xD4AD50EF, 4, -0x2AAB6),
        (0x2FFD, 2, 0x7FE),  # c.jal
        (0x3001, 2, -0x800),
        (0x246D, 2, 0x2AA),
        (0x346D, 2, -0x556),
        (0x2009, 2, 2),
        (0x37FD, 2, -18),
    ],
)
def test_calls_of_risc_v_tell_their_target(code: int, length: int, offset: int) -> None:
    raw = b"\x01\x00" + code.to_bytes(length, "little")  # behind c.nop
    image = of_code(RISCV, 0x200000, raw)
    behind = 0x200000 + len(raw)
    assert image.called(behind) == behind - length + offset
    assert image.called(behind + 1) is None  # no instruction ends at an odd address


@pytest.mark.parametrize(
    ("code", "called"),
    [
        ("e7800710", 0),  # jalr ra, 256(a5): a call, of what is in a register
        ("01008297", 0),  # c.nop; c.jalr a5
        ("6f00c07f", None),  # jal zero: a jump
        ("67800700", None),  # jr a5
        ("01008287", None),  # c.nop; c.jr a5
        ("01000290", None),  # c.nop; c.ebreak
        ("13000000", None),  # nop
    ],
)
def test_jumps_of_risc_v_are_no_calls(code: str, called: int | None) -> None:
    assert of_code(RISCV, 0x1000, bytes.fromhex(code)).called(0x1004) == called


def test_a_damaged_name_of_a_function_is_shown_printable(folder: Path, tmp_path: Path) -> None:
    elf = firmware("qemu_m4", "store", folder)
    (fault,) = _faults(elf)
    broken = tmp_path / "firmware.elf"
    broken.write_bytes(elf.read_bytes().replace(b"\0model_step\0", b"\0model\x1b[22J\0"))
    text, _ = describe(fault, [broken])
    assert "model?[22J" in text and text.replace("\n", "").isprintable()


def test_the_start_in_assembly_language_has_the_numbers_of_its_headers() -> None:
    def number(path: str, name: str) -> int:
        (found,) = re.findall(rf"#define {name} (\w+?)u?\b", (FIRMWARE / path).read_text("utf-8"))
        return int(found, 0)

    start, link = "board/cortex_m/start.S", "link/link_protocol.h"
    assert number(start, "STACK_PAINT") == number("board/common/stack.c", "PAINT")
    assert number(start, "LOST") == number(link, "LINK_FAULT_LOST")
