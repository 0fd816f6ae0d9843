"""What a program pays for a library: the model, its kernels, and the functions that it calls."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from host_tools.boards.board import load_board
from host_tools.library.make import make_library
from host_tools.library.write import write_library
from tests.test_certificate import make_build
from tests.test_library import LABELS, sources, with_rule

# Samples in, scores out, and nothing else; BODY may ask for more.
PROGRAM = """\
#include <tp_m.h>
static tp_m_t model;
extern volatile int result;
volatile int result;
int main(void)
{
    static const int16_t sample[6];
    if (tp_m_init(&model) == TP_M_OK && tp_m_push(&model, sample, 1) == 1 && tp_m_ready(&model) &&
        tp_m_invoke(&model) == TP_M_OK) {
        result = *tp_m_scores(&model);
        BODY;
    }
    for (;;) {
    }
}
"""
ALLOWED = re.compile(
    r"main|result|model|sample\.\d+|memcpy|memset|\$.*"  # the program's own, and the C library's
    r"|tp_m_(init_sized|push|ready|invoke|scores|output)"  # what it calls
    r"|(tp_m_LIB_)?(model|nn|fe)_\w+|scales"  # the model, kernels, the front end
    r"|tp_m_LIB_(library|decide)_\w+"  # what its functions share
    r"|(place|forget|start|take)(\.\w+)*"
)
OWN_BYTES = 700  # of the functions that a program calls, and of what they share
MORE = {
    "tp_m_label(tp_m_best(&model))": "tp_m_label",
    "tp_m_decide(&model, 0)": "tp_m_decide",
    "tp_m_selftest(&model)": "tp_m_selftest",
    "tp_m_push_float(&model, (const float[6]){1.0f}, 1)": "tp_m_push_float",
    "tp_m_kernels()": "tp_m_kernels",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a front end, labels, a rule of decisions and golden cases."""
    out_dir = with_rule(make_build(tmp_path_factory.mktemp("size"), "raw", len(LABELS), LABELS))
    return write_library(make_library(out_dir), out_dir.parent)[0]


def linked(folder: Path, into: Path, body: str) -> dict[str, int]:
    """Name -> bytes of all that a program around the library holds."""
    program, elf = into / "program.c", into / "program.elf"
    program.write_text(PROGRAM.replace("BODY", f"result += (int)(long)({body})"))
    command = ["arm-none-eabi-gcc", "-std=gnu11", "-Os", *load_board("qemu_m4").flags, "-Wall"]
    command += ["-ffunction-sections", "-fdata-sections", "-nostartfiles", f"-I{folder / 'src'}"]
    command += [str(program), *map(str, sources(folder)), "-Wl,--gc-sections", "-Wl,-e,main"]
    subprocess.run([*command, "-o", str(elf)], check=True, timeout=60)
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {
            symbol.name: symbol["st_size"]
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
        }


def test_a_program_links_the_model_its_kernels_and_what_it_calls(
    folder: Path, tmp_path: Path
) -> None:
    found = linked(folder, tmp_path, "0")
    assert sorted(name for name in found if not ALLOWED.fullmatch(name)) == []
    assert not [name for name in found if "golden" in name or "answer" in name]
    own = sum(size for name, size in found.items() if re.match(r"tp_m_(?!LIB_(nn|model|fe))", name))
    assert own < OWN_BYTES
    image = (tmp_path / "program.elf").read_bytes()
    assert not [label for label in LABELS if label.encode() in image]


@pytest.mark.parametrize("body", MORE)
def test_what_it_calls_comes_with_it_alone(folder: Path, tmp_path: Path, body: str) -> None:
    found = linked(folder, tmp_path, body)
    assert [name for name in MORE.values() if name in found] == [MORE[body]]
    assert not [name for name in found if re.match("__aeabi_[fd]|_?printf|malloc|_sbrk", name)]
