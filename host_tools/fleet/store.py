"""Readings in a file of SQLite, and what they say together.

A board's history is only right in the order of its times, and readings come in any order, so they
have to be sorted; SQLite does it on disk, in bounded memory, and drops a reading that came twice.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

from host_tools.fleet.reading import Reading, parse_reading
from host_tools.fleet.sources import Raw
from model.processes import scratch_folder
from model.text import printable

KEPT_BAD = 100  # bad lines that are named, of all that are counted
MAX_WHY = 200  # characters
MAX_REASONS = 50  # kinds of mistakes that are counted apart
CACHE_KIB = 8 * 1024
LIST = 1000  # boards that a table lists
MAX_CHANNELS = 1000  # that are counted apart
MAX_RATIO = 1e9  # of a PSI over the usual one, which may be close to 0
KINDS = (" mean", " roughness", " energy", ", told")  # of a channel's tests
_SCHEMA = """
CREATE TABLE readings (
    seq INTEGER PRIMARY KEY, device TEXT, board TEXT, model TEXT, at REAL, windows INTEGER,
    alarms TEXT, back INTEGER, digest BLOB UNIQUE);
CREATE TABLE boards (
    device TEXT, board TEXT, model TEXT, drifts INTEGER, since REAL, last REAL, content TEXT);
CREATE TABLE clocks (device TEXT, board TEXT, last REAL, PRIMARY KEY (device, board));
"""

_LAST = "SELECT last FROM clocks WHERE device = ? AND board = ?"
_ADD = (
    "INSERT OR IGNORE INTO readings (device, board, model, at, windows, alarms, back, digest) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """What is no reading."""

    file: str
    line: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel of a board that drifts at its latest reading."""

    channel: str
    tests: tuple[str, ...]  # mean, roughness, energy; empty where the test has no kinds
    since: str  # the first reading of the alarms that have not ended
    ratio: float  # PSI of the latest reading over the usual one, the largest of its tests


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSummary:
    """One board and one model on it."""

    device: str
    board: str
    model: str
    readings: int
    first: str
    last: str
    windows: int  # of the latest reading
    clock_back: int  # readings with an earlier time than the one that came before
    current: bool  # whether its latest reading of all is of this model
    channels: tuple[Channel, ...]


@dataclass(slots=True, kw_only=True)
class Totals:
    """All readings together."""

    readings: int = 0
    duplicates: int = 0
    bad: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    bad_lines: list[Bad] = field(default_factory=list)
    boards: int = 0
    drifting: int = 0
    unnamed: int = 0  # readings whose board has no name
    clock_back: int = 0
    former: int = 0  # readings of a model that their board runs no more
    models: Counter[str] = field(default_factory=Counter)  # boards by the model that they run
    channels: Counter[str] = field(default_factory=Counter)  # drifting boards


class Store:
    """Use it as a context manager: the file goes with it.

    Raises OSError, as of any other file, where the disk takes no more of it.
    """

    def __init__(self) -> None:
        self._scratch = contextlib.ExitStack()
        self._file = self._scratch.enter_context(scratch_folder("fleet")) / "readings.sqlite"
        self._base = sqlite3.connect(self._file)
        self.totals = Totals()

    def __enter__(self) -> Store:
        try:
            self._base.executescript(
                f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE; "
                f"PRAGMA cache_size=-{CACHE_KIB}; {_SCHEMA}"
            )
        except sqlite3.OperationalError as error:
            self.__exit__(type(error), error, error.__traceback__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._base.close()
        self._scratch.close()
        if isinstance(error, sqlite3.OperationalError):
            full = "disk is full" in str(error)  # its code is told from Python 3.11 on
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, str(error), str(self._file)) from error

    def take(self, raws: Iterable[Raw], now: datetime) -> None:
        """Take in what are readings, and count what are none."""
        for raw in raws:
            try:
                if raw.why:
                    raise ValueError(raw.why)
                self._add(parse_reading(raw.text, now))
            except ValueError as error:
                self._refuse(raw, str(error))

    def summary(self) -> None:
        """Work out every board's history; call it once, behind the last take."""
        totals = self.totals
        for summary in self._histories():
            drifts = summary.current and bool(summary.channels)
            totals.clock_back += summary.clock_back
            if not summary.current:
                totals.former += summary.readings
            else:
                totals.boards += 1
                totals.drifting += drifts
                _count(totals.models, summary.model)
            if not summary.device:
                totals.unnamed += summary.readings
            if drifts:
                for channel in {c.channel for c in summary.channels}:
                    _count(totals.channels, channel)
            since = min((c.since for c in summary.channels), default="")
            self._base.execute(
                "INSERT INTO boards VALUES (?, ?, ?, ?, ?, ?, ?)",
                (summary.device, summary.board, summary.model, drifts, since, summary.last,
                 json.dumps(asdict(summary))),
            )  # fmt: skip

    def boards(self, limit: int = LIST) -> list[dict[str, Any]]:
        """The first `limit` summaries: those that drift first, the longest drift before others."""
        rows = self._base.execute(
            "SELECT content FROM boards ORDER BY drifts DESC, since, device, last DESC LIMIT ?",
            (limit,),
        )
        return [json.loads(content) for (content,) in rows]

    def _add(self, reading: Reading) -> None:
        at, key = reading.at.timestamp(), (reading.device, reading.board)
        alarms = [
            (r.test, min(r.psi / (r.usual_psi or 1.0), MAX_RATIO)) for r in reading.rows if r.alarm
        ]
        content = (*key, reading.model_sha256, at, reading.windows, json.dumps(alarms))
        # Of one board at one moment: the same reading, however it came and was written.
        same = hashlib.blake2b(repr(content).encode("utf-8", "replace"), digest_size=16).digest()
        last = self._base.execute(_LAST, key).fetchone()
        back = last is not None and at < last[0]
        done = self._base.execute(_ADD, (*content, back, same))
        if done.rowcount == 0:
            self.totals.duplicates += 1
            return
        self.totals.readings += 1
        self._base.execute("INSERT OR REPLACE INTO clocks VALUES (?, ?, ?)", (*key, at))

    def _refuse(self, raw: Raw, why: str) -> None:
        totals, short = self.totals, printable(why)[:MAX_WHY]
        totals.bad += 1
        _count(totals.reasons, short, MAX_REASONS)
        if len(totals.bad_lines) < KEPT_BAD:
            totals.bad_lines.append(Bad(file=printable(raw.file), line=raw.line, why=short))

    def _histories(self) -> Iterator[BoardSummary]:
        """Board by board, model by model; a board's own model is that of its latest reading."""
        self._base.execute("CREATE INDEX by_board ON readings (device, board, model, at, seq)")
        self._base.execute(  # SQLite takes the model from the row with the maximum
            "CREATE TABLE latest AS SELECT device, board, model, MAX(at) FROM readings "
            "GROUP BY device, board"
        )
        rows = self._base.execute(
            "SELECT r.device, r.board, r.model, r.at, r.windows, r.alarms, r.back, "
            "l.model = r.model FROM readings r JOIN latest l "
            "ON l.device = r.device AND l.board = r.board "
            "ORDER BY r.device, r.board, r.model, r.at, r.seq"
        )
        history: _History | None = None
        for device, board, model, at, windows, alarms, back, current in rows:
            key = (device, board, model)
            if history is None or history.key != key:
                if history is not None:
                    yield history.summary()
                history = _History(key, bool(current))
            history.add(at, windows, json.loads(alarms), back)
        if history is not None:
            yield history.summary()


class _History:
    """One board's readings of one model, in the order of their times."""

    def __init__(self, key: tuple[str, str, str], current: bool) -> None:
        self.key = key
        self._current = current
        self._readings = self._windows = self._back = 0
        self._first = self._last = 0.0
        self._since: dict[str, tuple[float, float]] = {}  # of a test that alarms: since, ratio

    def add(self, at: float, windows: int, alarms: list[tuple[str, float]], back: int) -> None:
        self._first = self._first if self._readings else at
        self._readings += 1
        self._back += back
        self._last, self._windows = at, windows
        self._since = {test: (self._since.get(test, (at, 0))[0], ratio) for test, ratio in alarms}

    def summary(self) -> BoardSummary:
        device, board, model = self.key
        return BoardSummary(
            device=device,
            board=board,
            model=model,
            readings=self._readings,
            first=_day(self._first),
            last=_day(self._last),
            windows=self._windows,
            clock_back=self._back,
            current=self._current,
            channels=tuple(self._channels()),
        )

    def _channels(self) -> Iterator[Channel]:
        found: dict[str, list[tuple[str, float, float]]] = {}
        for test, (since, ratio) in self._since.items():
            kind = next((k for k in KINDS if test.endswith(k)), "")
            found.setdefault(test.removesuffix(kind), []).append((kind.strip(" ,"), since, ratio))
        for channel, tests in sorted(found.items(), key=lambda c: (min(t[1] for t in c[1]), c[0])):
            yield Channel(
                channel=channel,
                tests=tuple(kind for kind, _, _ in tests if kind),
                since=_day(min(since for _, since, _ in tests)),
                ratio=max(ratio for _, _, ratio in tests),
            )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M")


def _count(counter: Counter[str], name: str, most: int = MAX_CHANNELS) -> None:
    """One more of `name`; of more names than `most` only how many there were is kept."""
    counter[name if name in counter or len(counter) < most else "others"] += 1
