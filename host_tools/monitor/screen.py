"""The bytes of a board as text for a terminal: frames in words, text as it comes, garbage tamed.

Whatever arrives, what comes out holds only what a terminal prints, and what is kept is bounded: a
frame or line of more than MAX_COBS bytes is known to be none of the link's. Text is shown at once,
also before its line ends; only what may become a line of `live` waits for its end.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from host_tools.link.frames import DELIMITER, FRAME_START, MAX_COBS, Damage, Status, decode
from host_tools.link.said import Bench, NoSensor, Prediction, Step, read_line
from host_tools.monitor.words import Words
from model.text import printable

MAX_ESCAPES = 32  # unprintable characters that a line shows; the rest is counted
# How lines of `live` and `bench` begin that become other lines here.
WAITING = (b"class ", b"labels ", b"counts per inference, ", b"  step ")
_END = re.compile(rb"[\x00\r\n]")


class Screen:
    """Feed it what arrives, in pieces of any size, and show what it returns."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._unit = bytearray()  # of the frame or line so far, its first MAX_COBS + 1 bytes
        self._in_frame = False
        self._shown = 0  # bytes of the line that are on the screen
        self._behind_return = False  # a line feed behind it is the same end
        self._at_start = True  # of a line of the screen
        self._escapes = 0  # in this line
        self._utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def feed(self, data: bytes) -> str:
        """Return the text that `data` adds to the screen."""
        return "".join(self._pieces(data))

    def _pieces(self, data: bytes) -> Iterator[str]:
        at = 0
        while at < len(data):
            if not self._in_frame and not self._unit and data[at] == FRAME_START[0]:
                self._in_frame = True
            if self._in_frame:
                end = data.find(DELIMITER, at)
            else:
                found = _END.search(data, at)
                end = found.start() if found else -1
            piece = data[at : end if end >= 0 else len(data)]
            at += len(piece) + 1
            room = MAX_COBS + 1 - len(self._unit)
            self._unit += piece[:room]
            if self._in_frame:
                if end >= 0:
                    yield self._frame()
            else:
                yield self._text(piece, room)
                if end >= 0:
                    yield self._line_end(data[end])

    def _frame(self) -> str:
        raw = bytes(self._unit)
        event = decode(raw) if len(raw) <= MAX_COBS else Damage(status=Status.TOO_LONG, raw=raw)
        self._unit.clear()
        self._in_frame = False
        begin = "" if self._at_start else self._finish()
        return begin + "".join(printable(line) + "\n" for line in self._words.event(event))

    def _text(self, piece: bytes, room: int) -> str:
        """Show what is not on the screen yet, unless it may become a line of `live`."""
        if piece:
            self._behind_return = False
        if not self._shown:
            line = bytes(self._unit)
            if len(line) <= MAX_COBS and any(
                line.startswith(word) or word.startswith(line) for word in WAITING
            ):
                return ""
            shown = line + piece[room:]
        else:
            shown = piece
        self._shown += len(shown)
        return self._clean(shown)

    def _line_end(self, end: int) -> str:
        line, shown = bytes(self._unit), self._shown
        self._unit.clear()
        self._shown = 0
        behind, self._behind_return = self._behind_return, end == 0x0D
        if end == 0x0A and behind and not line:
            return ""
        said = read_line(line.decode("ascii")) if line.isascii() and len(line) <= MAX_COBS else None
        if said is not None:
            self._words.learn(said)
        if isinstance(said, Prediction) and not shown:
            text = printable(self._words.prediction(said))
            self._at_start = False
        elif isinstance(said, Bench | Step) and not shown:
            text = self._words.bench(said)
            self._at_start = False
        else:
            text = self._clean(b"" if shown else line, final=True)
        if isinstance(said, NoSensor) and self._words.hint:
            text += f"; {printable(self._words.hint)}"
        if self._escapes > MAX_ESCAPES:
            text += f" (and {self._escapes - MAX_ESCAPES} more that are no text)"
        self._escapes = 0
        return text if end == 0 else text + self._finish()

    def _clean(self, data: bytes, *, final: bool = False) -> str:
        text = []
        for character in self._utf8.decode(data, final):
            if character.isprintable() or character == "\t":
                text.append(character)
                continue
            self._escapes += 1
            if self._escapes <= MAX_ESCAPES:
                text.append(_escape(character))
        if text:
            self._at_start = False
        return "".join(text)

    def _finish(self) -> str:
        """The end of a line."""
        self._at_start = True
        return "\n"


def _escape(character: str) -> str:
    """Of a byte that is no UTF-8 the byte, of another character its escape."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else printable(character)
