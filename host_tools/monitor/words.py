"""Frames of the link, and the lines of `live`, in words for a person at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.link import protocol
from host_tools.link.backtrace import explain
from host_tools.link.frames import PROTOCOL_VERSION, REPLY, Damage, Frame, Status
from host_tools.link.protocol import Hello, MessageType, TakeState
from host_tools.link.said import Banner, Bench, ModelLine, Prediction, Said, Step, share
from host_tools.monitor.models import UNKNOWN, Model
from model.text import counted

BAR = 20  # characters
WORST_TESTS = 3  # of drift
MAX_SHOWN = 64  # bytes of an output that may be scores; more are counted
MOST = protocol.MAX_STREAM_OUTPUT
DECISION = 64  # outputs that are shown as classes, as of firmware/stream/app_live.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a board's counter counts, and how many of them pass in a second on a chip."""

    name: str = "counts"
    hertz: int = 0  # 0: they are no time


@dataclass(slots=True, kw_only=True)
class Words:
    """What is known of the board so far, with which its frames are put into words.

    `find` gives the model of a hash, `images` the ELF files that a fault may be of, `tests` the
    names of what is counted against a profile, `units` what the board of a name counts, `hint` is
    what to do where `live` finds no sensor.
    """

    find: Callable[[str], Model] = lambda sha256: UNKNOWN
    images: Callable[[], Sequence[Path]] = list
    tests: Callable[[int], Sequence[str]] = lambda profile: ()
    units: Mapping[str, Unit] = field(default_factory=dict)
    hint: str = ""
    _model: Model = UNKNOWN
    _unit: Unit = Unit()
    _hello: Hello | None = None
    _sha256: str = ""
    _fault: bytes = b""
    _channels: int = 0

    def learn(self, said: Said) -> None:
        """Take in what a line says of board and model."""
        if isinstance(said, Banner):
            self._unit = self.units.get(said.board, Unit())
            self._fault = b""
        elif isinstance(said, ModelLine):
            self._know(said.sha256)

    def prediction(self, found: Prediction) -> str:
        """A line of `live` with classes by name, a bar of confidence and the latency."""
        scores, parts = found.scores, [f"{found.answer:<12}"]
        if found.number is not None and found.number < len(scores):
            parts.append(self._bar(scores[found.number]))
        elif scores:
            parts.append(f"highest {self._bar(max(scores))}")
        if found.counts is not None:
            parts.append(self._cost(found.counts))
        if found.mean is not None and found.mean_of:
            parts.append(f"mean of {found.mean_of}: {found.mean}")
        if found.decided is not None:
            parts.append(f"decided: {found.decided}")
        return "  ".join(parts)

    def bench(self, found: Bench | Step) -> str:
        """A line of `bench`, with what is counted."""
        if isinstance(found, Step):
            return f"  step {found.number}: {self._cost(found.counts)}"
        costs = ", ".join(f"{name} {self._cost(n)}" for name, n in found.counts.items())
        return f"{counted(found.runs, 'inference')}: {costs}; one more inference, by step:"

    def event(self, event: Frame | Damage) -> list[str]:
        """One or more lines about a frame, or what was meant to be one."""
        if isinstance(event, Damage):
            return [f"<- a damaged frame ({_damage(event)}), {len(event.raw)} bytes"]
        if event.type == MessageType.FAULT | REPLY:
            return self._faulted(event.payload)
        is_reply = bool(event.type & REPLY)
        number = event.type if event.type == MessageType.ERROR else event.type & ~REPLY
        known = number in MessageType.__members__.values()
        name = MessageType(number).name if known else f"type 0x{event.type:02x}"
        head = f"{'<-' if is_reply else '->'} {name} {event.sequence}"
        if event.status != Status.OK:
            return [f"{head}: {_status(event.status)}"]
        if not is_reply or not known:
            return [f"{head}: {len(event.payload)} bytes" if event.payload else head]
        try:
            first, *more = self._reply(MessageType(number), event.payload)
        except ValueError as error:
            return [f"{head}: a reply that cannot be right: {error}"]
        return [f"{head}: {first}", *(f"   {line}" for line in more)]

    def _know(self, sha256: str) -> None:
        if sha256 != self._sha256:
            self._sha256, self._model = sha256, self.find(sha256)

    def _faulted(self, payload: bytes) -> list[str]:
        """A board repeats its report whenever something arrives; it is decoded once."""
        if payload == self._fault:
            return ["<- FAULT: the same as before; reset the board to go on"]
        self._fault = payload
        return explain(payload, self.images()).splitlines()

    def _reply(self, kind: MessageType, payload: bytes) -> Iterator[str]:
        read = _READERS.get(kind)
        return read(self, payload) if read else iter([_plain(payload)])

    def _hello_lines(self, payload: bytes) -> Iterator[str]:
        hello = protocol.parse_hello(payload)
        self._hello = hello
        self._unit = self.units.get(hello.board_id, Unit())
        self._know(hello.model_sha256)
        yield f"model {hello.model_name}, sha256 {hello.model_sha256[:16]}, on {hello.board_id}"
        yield (
            f"kernels {hello.kernels}, framework {hello.framework}, engine {hello.engine}, "
            f"run {hello.run_id}, tinyproof {hello.version}"
        )
        stack = f"{hello.stack_used:,} of {hello.stack_bytes:,}" if hello.stack_bytes else "unknown"
        yield f"arena {hello.arena_used:,} of {hello.arena_bytes:,} bytes, stack {stack}"

    def _invoke_lines(self, payload: bytes) -> Iterator[str]:
        ticks = protocol.parse_u32s(payload)
        yield self._ticks(ticks[-1]) if ticks else "done"

    def _output_lines(self, payload: bytes) -> Iterator[str]:
        yield self._answer(payload) if self._is_whole(payload) else _plain(payload)

    def _selftest_lines(self, payload: bytes) -> Iterator[str]:
        found = protocol.parse_selftest(payload)
        equal = f"{found.cases - found.failures} of {found.cases} golden vectors equal"
        if not found.failures:
            yield f"PASS, {equal}"
            return
        yield (
            f"FAIL, {equal}; case {found.first_case}, byte {found.first_byte}: expected "
            f"{found.expected}, got {found.got}"
        )

    def _profile_lines(self, payload: bytes) -> Iterator[str]:
        ticks = protocol.parse_u32s(payload)[1:]  # behind the CRC of the inputs
        yield f"{counted(len(ticks), 'step')}, {self._ticks(sum(ticks))} in all"

    def _samples_lines(self, payload: bytes) -> Iterator[str]:
        count, stages = (int.from_bytes(payload[at : at + 4], "little") for at in (0, 4))
        each = (len(payload) - 8) // count if count else 0
        outputs = max(0, each - 12 - 4 * stages)
        if self._hello and outputs not in (0, min(sum(self._hello.output_bytes), MOST)):
            raise ValueError(f"{outputs} bytes of outputs for each of {count} inferences")
        found = protocol.parse_inferences(payload, outputs)
        yield counted(len(found), "inference")
        for one in found:
            held = "held, " if not one.outputs else f"{self._answer(one.outputs)}  "
            cost = "" if not one.invoke_ticks else f"{self._ticks(one.invoke_ticks)} + "
            yield f"{one.index}: {held}{cost}{self._ticks(one.feature_ticks)} of the front end"

    def _record_lines(self, payload: bytes) -> Iterator[str]:
        if _is_sensor(payload):
            sensor = protocol.parse_sensor(payload)
            self._channels = len(sensor.channels)
            names = ", ".join(f"{c.name} in {c.unit}" for c in sensor.channels)
            yield f"{sensor.rate_millihertz / 1000:g} Hz, {names}"
            return
        take = protocol.parse_take(payload, self._channels or 1)
        values = len(take.samples) // 2
        told = f"{values // self._channels} samples" if self._channels else f"{values} values"
        words = [word for state, word in _TAKE.items() if take.state & state]
        yield ", ".join([f"{told} from sample {take.first} on", *words])

    def _drift_lines(self, payload: bytes) -> Iterator[str]:
        read = protocol.parse_drift(payload)
        yield f"{read.windows} windows counted against profile {read.profile:08x}"
        seen = sorted(enumerate(read.classes), key=lambda one: (-one[1], one[0]))
        shares = [f"{self._label(k)} {n / read.windows:.0%}" for k, n in seen if n]
        if len(read.classes) > 1 and shares:
            yield "classes: " + ", ".join(shares[:BAR])
        outer = [((row[0] + row[-1]) / read.windows, k) for k, row in enumerate(read.bins)
                 if len(row) > 2 and read.windows]  # fmt: skip
        if worst := sorted(outer, reverse=True)[:WORST_TESTS]:
            names = dict(enumerate(self.tests(read.profile)))
            told = ", ".join(f"{names.get(k, f'test {k}')} {part:.0%}" for part, k in worst)
            yield f"most in the outermost bins: {told}; `tinyproof drift` judges it"

    def _place_lines(self, payload: bytes) -> Iterator[str]:
        yield " ".join(f"at {place} of the arena" for place in protocol.parse_u32s(payload)[:1])

    def _is_whole(self, output: bytes) -> bool:
        """Whether these bytes can be all of the model's first output."""
        sizes = self._hello.output_bytes[:1] if self._hello else ()
        return len(output) == (sizes[0] if sizes else self._model.output_bytes)

    def _answer(self, outputs: bytes) -> str:
        """The class with the highest score, where outputs are so few that they may be scores."""
        first = outputs[: self._model.output_bytes or None]
        scores = [byte - 256 if byte > 127 else byte for byte in first]
        named = bool(self._model.labels)
        if not scores or not (named or (self._model is UNKNOWN and len(scores) <= DECISION)):
            return _plain(outputs)
        best = scores.index(max(scores))
        return f"{self._label(best):<12}  {self._bar(scores[best])}"

    def _label(self, number: int) -> str:
        labels = self._model.labels
        return labels[number] if number < len(labels) else f"class {number}"

    def _bar(self, score: int) -> str:
        part = share(score, self._model.scale, self._model.zero_point)
        full = round(part * BAR)
        return f"{'█' * full}{'░' * (BAR - full)} {part:.3f}"

    def _ticks(self, ticks: int) -> str:
        return self._cost(self._hello.counts(ticks)) if self._hello else f"{ticks:,} ticks"

    def _cost(self, counts: int) -> str:
        if self._unit.name == "nanoseconds":
            return f"{counts / 1e3:,.1f} µs"
        hertz = self._unit.hertz
        time = f" = {1e3 * counts / hertz:.2f} ms at {hertz / 1e6:g} MHz" if hertz else ""
        return f"{counts:,} {self._unit.name}{time}"


_READERS: dict[MessageType, Callable[[Words, bytes], Iterator[str]]] = {
    MessageType.HELLO: Words._hello_lines,
    MessageType.INVOKE: Words._invoke_lines,
    MessageType.READ_OUTPUT: Words._output_lines,
    MessageType.SELFTEST: Words._selftest_lines,
    MessageType.PROFILE: Words._profile_lines,
    MessageType.SAMPLES: Words._samples_lines,
    MessageType.RECORD: Words._record_lines,
    MessageType.DRIFT: Words._drift_lines,
    MessageType.PLACE: Words._place_lines,
}
_TAKE = {
    TakeState.OVERRUN: "samples were lost",
    TakeState.ENDED: "no more will follow",
    TakeState.FAILED: "the sensor does not answer",
}


def _status(status: int) -> str:
    known = status in Status.__members__.values()
    return Status(status).name if known else f"status {status}"


def _damage(damage: Damage) -> str:
    if damage.version:
        mine = PROTOCOL_VERSION
        return f"version {damage.version} of the protocol, these tools speak {mine}"
    return damage.status.name


def _plain(payload: bytes) -> str:
    if not payload:
        return "OK"
    dots = " ..." if len(payload) > MAX_SHOWN else ""
    return f"{len(payload)} bytes {payload[:MAX_SHOWN].hex(' ')}{dots}"


def _is_sensor(payload: bytes) -> bool:
    try:
        protocol.parse_sensor(payload)
    except ValueError:
        return False
    return True
