"""Models in C source: what is read is the array's bytes; what is none ends in a message, soon."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.cli import main
from quantize.errors import ModelError
from quantize.tflite import c_array
from quantize.tflite.c_array import array_bytes, c_arrays
from quantize.tflite.files import model_bytes
from tests.factory import GENERATORS

TFLITE = b"\x1c\0\0\0TFL3\x01\x02\x03\xff"
LIST = ", ".join(map(str, TFLITE))
HEX = ",".join(f"0x{v:02x}" for v in TFLITE)
HEAD = "alignas(16) const unsigned char g_model[] = "


def xxd(data: bytes, name: str = "g_model") -> str:
    """As xxd -i writes it."""
    rows = [data[i : i + 12] for i in range(0, len(data), 12)]
    body = ",\n".join("  " + ", ".join(f"0x{v:02x}" for v in row) for row in rows)
    return f"unsigned char {name}[] = {{\n{body}\n}};\nunsigned int {name}_len = {len(data)};\n"


def read(text: str, wanted: str | None = None) -> bytes:
    """The array of some source."""
    return array_bytes(text.encode(), "model.cc", wanted)


@pytest.mark.parametrize(
    "text",
    [
        xxd(TFLITE),
        f"{HEAD}{{{LIST}}};",
        f"{HEAD}{{{LIST},}};",
        f"{HEAD}{{ /* a }} */ {HEX} // , 300 }}\n , }} ;",
        f"{HEAD}{{\n{HEX.replace(',', ' , /* x */')} }};",
        f"{HEAD}{{{HEX.replace('0x', '0X').upper()}}}",
        f"{HEAD}{{{HEX.replace('ff', 'fF').replace('0x00', '0x0')}}}",
        f"static const uint8_t model[{len(TFLITE)}] __attribute__((aligned(16))) = {{{LIST}}};",
        f"constexpr std::uint8_t model[kSize] = {{{LIST}}};",
        f'#ifdef X // \\\n {{ \n#define Y {{1, \\\n 2\n#include "a/*.h"\nuint8_t a[]={{{LIST}}}',
        f'const char q = \'"\'; const char* s = "/*\\""; {HEAD}{{{LIST}}};',
        f'namespace a {{ extern "C" {{ extern uint8_t g_model[]; {HEAD}{{{LIST}}}; }} }}',
        f"void f() {{ int x[2] = {{A, {{B}}}}; }} {HEAD}\r\n{{{LIST}\r\n}};\r\n",
        f"const uint8_t* const all[] = {{g, h}}; const uint8_t no[] = {{MACRO(1)}}; {xxd(TFLITE)}",
        f"const uint8_t png[] = {{1, 2, 3}}; {HEAD}{{{LIST}}};",
    ],
)
def test_the_bytes_of_the_only_model(text: str) -> None:
    assert read(text) == TFLITE


def test_arrays_are_chosen_by_name() -> None:
    text = xxd(TFLITE, "a") + xxd(TFLITE + b"\0", "b") + xxd(b"1234", "c")
    assert read(text, "b") == TFLITE + b"\0"
    assert read(text, "c") == b"1234"
    with pytest.raises(ModelError, match=r"2 arrays.* a \(12 bytes\), b \(13 bytes\), c.*--array"):
        read(text)
    with pytest.raises(ModelError, match=r"no array 'd' of .*; there are a \(12 bytes\), b"):
        read(text, "d")
    with pytest.raises(ModelError, match="leave one of each name"):
        read(xxd(TFLITE) * 2, "g_model")


def test_an_array_of_another_type_is_not_chosen_by_name() -> None:
    with pytest.raises(ModelError, match=r"no array 'b' of unsigned .*: b \(char\)"):
        read(f"{HEAD}{{{LIST}}}; const char b[] = {{{LIST}}};", "b")
    assert read(f"{HEAD}{{{LIST}}}; const char b[] = {{{LIST}}};") == TFLITE


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        (f"{LIST}, 300}}", "line 1, element 12: expected a number 0 to 255 in .* got '300'"),
        (f"{LIST}, -1}}", "element 12: .* got '-1'"),
        (f"\n{LIST}, FOO}}", r"line 2, element 12: .* got 'FOO' \(macros are not expanded\)"),
        (f'{LIST},\n#include "rest.h"\n}}', r"got '#' \(macros are not expanded\)"),
        (f"{LIST}, 0x100}}", "got '0x100'"),
        (f"{LIST}, 010}}", "got '010'"),
        (f"{LIST}, 1.5}}", "got '1.5'"),
        (f"{LIST}, 0x1cu}}", "got '0x1cu'"),
        (f"{LIST}, 1'0}}", 'got "1\'0"'),
        (f"{LIST}, 'a'}}", "expected a number"),
        (f'{LIST}, "a"}}', "expected a number"),
        (f"{LIST}, ,}}", "got ','"),
        (f"{LIST} 1}}", "expected a comma or }, got '1'"),
        (f"{LIST}; 1}}", "expected a comma or }, got ';'"),
        (f"{{{LIST}}}}}", "got '{'"),
        (f"{LIST}, {{1}}}}", "got '{'"),
        (f"{LIST}, (int)1}}", r"got '\('"),
        (f"{LIST}", "got the end of the file"),
        (f"{LIST},", "got the end of the file"),
        (f"{LIST}, 0", "got the end of the file"),
        (f"{LIST}, 0x", "got '0x'"),
        (f"{LIST} /* }};", r"a comment /\* without its \*/"),
        (f"{LIST}, \u0661}}", "expected a number"),
        ("}", "no array of bytes is a .tflite"),
    ],
)
def test_elements_that_are_none(elements: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        read(f"const uint8_t g_model[] = {{{elements}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "arrays of unsigned char or uint8_t with elements in braces: none"),
        (f"const int8_t g_model[] = {{{LIST}}};", r"none; not read, .*: g_model \(int8_t\)"),
        (f"const char a[] = {{{LIST}}};", r"in braces: none; not read, .* types: a \(char\)"),
        (f"static signed char a[2] = {{{LIST}}};", r"not read, .* types: a \(char\)"),
        (f"std::array<uint8_t, 12> a = {{{LIST}}};", r"types: a \(std::array of uint8_t\)"),
        (f"const std::array<unsigned char, N> a{{{LIST}}};", r"a \(std::array of unsigned char\)"),
        (
            f"int a[2] = {{{LIST}}}; std::array<int, 2> b{{1, 2}}; char* c[] = {{0}};",
            "braces: none$",
        ),
        (f'const unsigned char g[] = "{LIST}";', "in braces: none"),
        (f"const uint8_t g[13] = {{{LIST}}};", "g: has 12 elements, declared are 13"),
        (f"const uint8_t g[11] = {{{LIST}}};", "g: has 12 elements, declared are 11"),
        ("const uint8_t g[] = {1, 2, 3};", r"TFL3 at byte 4.*: g \(3 bytes\)"),
        ('const char* s = "abc', 'line 1: a " without its end'),
        ("const char s = '\n'", "line 1: a ' without its end"),
        ("const uint8_t g[] = {1};" * 65, "more than 64 arrays"),
        (";" * (c_array.MAX_TOKENS + 1), "more than 1,048,576 tokens outside"),
    ],
)
def test_source_without_a_model(text: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        " " * (2 << 20),
        "/" * (2 << 20),
        "/*" + "*" * (2 << 20),
        "/**/" * (1 << 20),
        '"' + "\\" * (2 << 20),
        '"' + "a" * (2 << 20),
        "#" + "\\\n" * (2 << 20),
        "#/**/" * (1 << 17) + " " * (2 << 20),
        "#/**/" * (1 << 17) + "\\\n" * (1 << 20),
        "a" * (2 << 20),
        "1" * (2 << 20),
        "[" * (1 << 20),
        "uint8_t a[" * (1 << 17),
        "uint8_t a[]={" * (1 << 17),
        "uint8_t a[]={" + "1" * (2 << 20),
        "uint8_t a[]={1" + " " * (2 << 20),
        "uint8_t a[]={" + " " * (1 << 20) + "1" + " " * (1 << 20) + "x",
        "uint8_t a[]={" + "/**/" * (1 << 20) + "}",
        "uint8_t a[]={" + "1/**/," * (1 << 19) + "}",
        "uint8_t a[]={" + "\n" * (2 << 20) + "x}",
        ("uint8_t a[]={x" + "\n" * (1 << 17) + "}") * 60,
        "uint8_t a[]={" + "0x1," * (2 << 20),
    ],
    ids=lambda text: repr(text[:14]),
)
def test_hostile_source_ends_soon(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ModelError):
        read(text)
    assert time.process_time() - started < 5


PIECES = st.sampled_from(
    [b"uint8_t", b" a", b"[", b"]", b"=", b"{", b"}", b",", b";", b"0x1c", b"255", b"256", b"-1",
     b"/*", b"*/", b"//", b"\n", b"\\", b'"', b"'", b"#", b" ", b"\xff", b"\0", b"unsigned char "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=60).map(b"".join) | st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    for source in (text, b"const uint8_t g[] = {" + text, xxd(TFLITE).encode()[:90] + text):
        try:
            found = c_arrays(source, "model.cc")
        except ModelError:
            continue
        assert all(isinstance(a.data, bytes) and len(a.data) <= len(source) for a in found)


@given(st.binary(max_size=300), st.integers(0, 10_000))
def test_what_is_written_is_read_and_what_is_cut_is_not(data: bytes, cut: int) -> None:
    text = xxd(TFLITE + data)
    assert read(text) == TFLITE + data
    end = text.index("}")
    with pytest.raises(ModelError):
        read(text[: cut % (end + 1)])


def test_source_is_the_same_model_as_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = GENERATORS["FULLY_CONNECTED"](np.random.default_rng(1))
    Path("model.tflite").write_bytes(data)
    Path("model.cc").write_text(xxd(data, "a"))
    Path("two.h").write_text(xxd(data, "a") + xxd(data + b"\0", "b"))
    for arguments in (["model.tflite"], ["model.cc"], ["--model", "model.cc", "--array", "a"]):
        assert main(["parity", *arguments, "--board", "native", "--cases", "3"]) == 0
    digest = hashlib.sha256(data).hexdigest()
    assert [p.name for p in Path("build/models").iterdir()] == [f"model-{digest[:8]}"]
    assert main(["inspect", "model.cc"]) == 0
    assert f"SHA-256 {digest[:16]}" in capsys.readouterr().out
    assert main(["import", "two.h", "--array", "a", "--cases", "3"]) == 0
    assert {p.name[:3] for p in Path("build/models").iterdir()} == {"mod", "two"}
    capsys.readouterr()
    for arguments, told in (
        (["import", "two.h"], "2 arrays may be meant: a ("),
        (["inspect", "two.h"], "give --array NAME"),
        (["parity", "model.tflite", "--array", "a"], "ARRAY=a is for C source only"),
        (["parity", f"model-{digest[:8]}", "--array", "a"], "is imported already"),
    ):
        assert main(arguments) == 2
        assert told in capsys.readouterr().err


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quantize.tflite import reader

    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 20)
    (tmp_path / "a.cc").write_text(xxd(TFLITE))
    with pytest.raises(ModelError, match="expected at most 20 bytes"):
        model_bytes(tmp_path / "a.cc")
