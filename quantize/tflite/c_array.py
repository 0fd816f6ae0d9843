"""Byte arrays of C source: the model.cc of a TFLite Micro project is the .tflite that it holds.

The file is untrusted and is not compiled. Outside arrays, tokens are only skipped; the elements of
an array are hexadecimal or decimal numbers 0 to 255 and nothing else. No macro is expanded and no
#if is decided. Every step moves on in the text, so that time grows with its length alone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import hexdigits

from quantize.errors import ModelError

SUFFIXES = (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp")
MAX_TOKENS = 1 << 20  # outside the arrays
MAX_ARRAYS = 64
MAX_HEAD = 64  # tokens of a declaration
MAX_COMMENTS = 1 << 20  # elements of all arrays that have some around them
MAX_NAME = 80  # characters of a name that a message shows
LISTED = 10  # arrays that a message names
TFLITE = b"TFL3"  # at byte 4

# Single classes are repeated, never groups: the engine keeps nothing for each repetition.
_TOKEN = re.compile(rb"\s*([A-Za-z_]\w*|\d[\w.']*|//|/\*|\S)")
_RUN = re.compile(rb"[\s\w,]{1,65536}")  # of elements, a block at a time
_ELEMENT = re.compile(rb"\s*(0[xX][0-9a-fA-F]{1,2}|\d{1,3})\s*([,}])")
_WORD = re.compile(rb"[A-Za-z_]\w*")
_PIECE = re.compile(rb"\s*([\w.'+-]{1,24}|\S)")  # what a message shows
_QUOTE_END = {b'"': re.compile(rb'["\\\n]'), b"'": re.compile(rb"['\\\n]")}
_HEX = [*hexdigits, *(high + low for high in hexdigits for low in hexdigits)]
_VALUES = {b"%d" % value: value for value in range(256)}
_VALUES |= {f"0{x}{digits}".encode(): int(digits, 16) for x in "xX" for digits in _HEX}


@dataclass(frozen=True, slots=True, kw_only=True)
class CArray:
    """One array of the source; `problem` says why its elements cannot be read, `other` of which
    type it is where that is none that is read."""

    name: str
    data: bytes = b""
    problem: str | None = None
    other: str = ""

    def __str__(self) -> str:
        if self.other:
            return f"{self.name[:MAX_NAME]} ({self.other})"
        return (
            f"{self.name[:MAX_NAME]} ({'damaged' if self.problem else f'{len(self.data):,} bytes'})"
        )


class _Damaged(Exception):
    """What is wrong with an array's elements."""


class _Source:
    """The text and where reading has come to."""

    def __init__(self, text: bytes, path: str) -> None:
        self.text, self.path, self.at, self.comments = text, path, 0, 0
        self.line_end = 0  # of the line that was skipped last; a line is searched for its end once

    def line(self, at: int) -> int:
        return self.text.count(b"\n", 0, at) + 1

    def tokens(self) -> Iterator[bytes]:
        """Words, numbers and signs, without comments, preprocessor lines and literals."""
        for _ in range(MAX_TOKENS):
            if (found := _TOKEN.match(self.text, self.at)) is None:
                return
            token, self.at = found[1], found.end()
            if token in (b"//", b"/*"):
                self.skip_comment(token)
            elif token == b"#":
                self._skip_directive()
            elif token in _QUOTE_END:
                self._skip_literal(token)
            else:
                yield token
        raise ModelError(
            f"{self.path}: more than {MAX_TOKENS:,} tokens outside arrays of bytes; give the file "
            "that holds the model"
        )

    def skip_comment(self, begin: bytes) -> None:
        """To behind a comment whose // or /* has been read."""
        if begin == b"//":
            self._skip_line()
            return
        end = self.text.find(b"*/", self.at)
        if end < 0:
            raise ModelError(
                f"{self.path}: line {self.line(self.at)}: a comment /* without its */; "
                "the file is cut off"
            )
        self.at = end + 2

    def _skip_line(self) -> None:
        """To behind the end of a line, which a backslash continues."""
        if self.at < self.line_end:
            self.at = self.line_end
            return
        while True:
            end = self.text.find(b"\n", self.at)
            if end < 0:
                self.at = len(self.text)
                break
            tail, self.at = self.text[max(end - 2, self.at) : end], end + 1
            if not tail.removesuffix(b"\r").endswith(b"\\"):
                break
        self.line_end = self.at

    def _skip_directive(self) -> None:
        """As a line, but to the beginning of a comment in it, which may be longer than it."""
        begin = self.at
        self._skip_line()
        comment = self.text.find(b"/*", begin, self.at)
        quotes = self.text.count(b'"', begin, max(comment, begin))
        if comment >= 0 and not quotes % 2 and self.text.find(b"//", begin, comment) < 0:
            self.at = comment

    def _skip_literal(self, quote: bytes) -> None:
        begin = self.at
        while found := _QUOTE_END[quote].search(self.text, self.at):
            self.at = found.end()
            if found[0] == quote:
                return
            if found[0] == b"\n":
                break
            self.at += 1
        raise ModelError(
            f"{self.path}: line {self.line(begin)}: a {quote.decode()} without its end; expected C "
            "source"
        )

    def elements(self) -> bytes:
        """The elements to behind the closing brace, whose opening one has been read."""
        values, last = bytearray(), b","
        while last == b",":
            until = self._blocks(values)
            last = self._next(values)
            while last == b"," and self.at < until:
                last = self._next(values)
        return bytes(values)

    def _blocks(self, values: bytearray) -> int:
        """Read blocks of elements that nothing stands between; where the one ends that is none."""
        while run := _RUN.match(self.text, self.at):
            parts = run[0].split(b",")[:-1]  # the last one may go on behind the block
            try:
                values += bytes(map(_VALUES.__getitem__, map(bytes.strip, parts)))
            except KeyError:
                return run.end()
            if not parts:
                return run.end()
            self.at += run[0].rindex(b",") + 1
        return self.at

    def _next(self, values: bytearray) -> bytes:
        """Read one element; the comma or brace behind it."""
        found = _ELEMENT.match(self.text, self.at)
        value = _VALUES.get(found[1]) if found else None
        if found is None or value is None:
            return self._rare(values)
        values.append(value)
        self.at = found.end()
        return bytes(found[2])

    def _rare(self, values: bytearray) -> bytes:
        """An element with comments around it, or the brace after a trailing comma; its end."""
        self.comments += 1
        if self.comments > MAX_COMMENTS:
            raise ModelError(
                f"{self.path}: line {self.line(self.at)}: more than {MAX_COMMENTS:,} elements with "
                "comments around them; leave the comments out"
            )
        token = self._behind_comments()
        if token == b"}":
            return token
        if token not in _VALUES:
            raise self._unexpected(token, len(values))
        values.append(_VALUES[token])
        end = self._behind_comments()
        if end not in (b",", b"}"):
            raise self._unexpected(end, len(values), "a comma or }")
        return end

    def _behind_comments(self) -> bytes:
        while found := _TOKEN.match(self.text, self.at):
            self.at = found.end()
            if found[1] not in (b"//", b"/*"):
                return bytes(found[1])
            self.skip_comment(found[1])
        return b""

    def _unexpected(self, token: bytes, index: int, wanted: str = "") -> _Damaged:
        wanted = wanted or "a number 0 to 255 in decimal or hexadecimal"
        shown = _PIECE.match(self.text, self.at - len(token)) if token else None
        got = repr(shown[1].decode("ascii", "replace")) if shown else "the end of the file"
        what = " (macros are not expanded)" if _WORD.match(token) or token == b"#" else ""
        where = f"line {self.line(self.at)}, element {index}"
        return _Damaged(f"{where}: expected {wanted}, got {got}{what}")

    def skip_array(self) -> None:
        """To the next closing brace."""
        end = self.text.find(b"}", self.at)
        self.at = end if end >= 0 else len(self.text)


def _declared(head: Sequence[bytes]) -> tuple[str, int | None] | None:
    """(name, number of elements if it is said) of an array of bytes that `head =` declares."""
    if not head or head[-1] != b"=":
        return None
    for i in range(1, len(head) - 1):
        if head[i] == b"[" and _WORD.fullmatch(head[i - 1]):
            kind, size = head[: i - 1], head[i + 1]
            byte = b"uint8_t" in kind or (b"unsigned" in kind and b"char" in kind)
            if not byte or b"*" in kind:
                return None
            return head[i - 1].decode(), int(size) if size.isdigit() and len(size) < 10 else None
    return None


def _other(head: Sequence[bytes]) -> CArray | None:
    """The array of another type of one byte, or std::array of bytes, that `head {` begins."""
    words = list(head[:-1] if head and head[-1] == b"=" else head)
    if b"array" in words and words[-2:-1] == [b">"] and _WORD.fullmatch(words[-1]):
        element = b" ".join(words[words.index(b"array") + 2 :]).split(b" ,")[0]
        if element.split(b" ")[-1] in (b"uint8_t", b"int8_t", b"char"):
            return CArray(name=words[-1].decode(), other=f"std::array of {element.decode()}")
    if b"[" not in words[1:] or b"*" in words or not _WORD.fullmatch(words[words.index(b"[") - 1]):
        return None
    name, kind = words[words.index(b"[") - 1], words[: words.index(b"[") - 1]
    byte = next((k for k in (b"char", b"int8_t") if k in kind), None)
    return CArray(name=name.decode(), other=byte.decode()) if byte else None


def c_arrays(text: bytes, path: str) -> list[CArray]:
    """All arrays of unsigned char or uint8_t with elements in braces, in the file's order, then
    the first few of other types of a byte, which are not read.

    Raises ModelError for what is no C source as far as it is read here.
    """
    source, head = _Source(text, path), deque[bytes](maxlen=MAX_HEAD)
    found: list[CArray] = []
    others: list[CArray] = []
    for token in source.tokens():
        if token not in (b"{", b"}", b";"):
            head.append(token)
            continue
        if token == b"{" and (declared := _declared(list(head))):
            if len(found) == MAX_ARRAYS:
                raise ModelError(f"{path}: more than {MAX_ARRAYS} arrays of bytes")
            found.append(_read(source, *declared))
        elif token == b"{" and len(others) < LISTED and (other := _other(list(head))):
            others.append(other)
        head.clear()
    return found + others


def _read(source: _Source, name: str, size: int | None) -> CArray:
    try:
        data = source.elements()
    except _Damaged as damage:
        source.skip_array()
        return CArray(name=name, problem=str(damage))
    if size not in (None, len(data)):
        return CArray(name=name, problem=f"has {len(data):,} elements, declared are {size:,}")
    return CArray(name=name, data=data)


def array_bytes(text: bytes, path: str, wanted: str | None) -> bytes:
    """The array `wanted` of C source, or the only one that is a .tflite.

    Raises ModelError that lists the arrays where that is none or more than one, and for an array
    that cannot be read.
    """
    found = c_arrays(text, path)
    arrays, others = [a for a in found if not a.other], [a for a in found if a.other]
    unread = f"; not read, as they are of other types: {', '.join(map(str, others))}" * bool(others)
    listed = ", ".join(str(a) for a in arrays[:LISTED]) + (", ..." if len(arrays) > LISTED else "")
    if wanted is None:
        chosen = [a for a in arrays if a.data[4:8] == TFLITE] or [a for a in arrays if a.problem]
        if not chosen:
            raise ModelError(
                f"{path}: no array of bytes is a .tflite (TFL3 at byte 4); arrays of unsigned char "
                f"or uint8_t with elements in braces: {listed or 'none'}{unread}"
            )
    else:
        chosen = [a for a in arrays if a.name == wanted]
        if not chosen:
            raise ModelError(
                f"{path}: no array {wanted!r} of unsigned char or uint8_t; there are "
                f"{listed or 'none'}{unread}"
            )
    if len(chosen) > 1:
        same = len({a.name for a in chosen}) < len(chosen)
        raise ModelError(
            f"{path}: {len(chosen)} arrays may be meant: {listed}; "
            + ("leave one of each name (#if is not decided here)" if same else "give --array NAME")
        )
    if chosen[0].problem:
        name = chosen[0].name[:MAX_NAME]
        raise ModelError(f"{path}: array {name}: {chosen[0].problem}")
    return chosen[0].data
