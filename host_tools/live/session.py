"""One thread that owns the device, and gives snapshots of what it has seen.

Samples of the board's sensor come by RECORD and go back by SAMPLES, those of a recording by SAMPLES
alone: so what the page shows is what the board has computed from exactly these samples. Everything
that is kept has a bound.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from host_tools.errors import DeviceError, UsageError
from host_tools.link import protocol
from host_tools.link.batch import Refused
from host_tools.link.device import Device
from host_tools.link.frames import Status
from host_tools.link.protocol import MessageType, Mode
from host_tools.link.target import RUN_S
from host_tools.live.clips import ClipRecorder
from host_tools.live.counting import LinkWatch
from host_tools.live.drifting import DriftWatch
from host_tools.live.history import SignalHistory
from host_tools.live.plan import ClipRequest, Plan
from host_tools.live.sources import Chunk, ReplaySource, SensorSource, Source
from host_tools.live.state import (
    NO_SOURCE,
    Clip,
    Firmware,
    Note,
    Prediction,
    Signal,
    Snapshot,
    State,
)
from model.errors import TinyproofError

log = logging.getLogger(__name__)

MAX_PREDICTIONS = 20_000  # kept for an export
SHOWN = 120  # predictions of a snapshot
MAX_NOTES = 50
TURN_S = 0.05  # between two looks at the clock
LOOK_S = 2.0  # between two HELLOs, which tell memory and that the board is there
DRIFT_S = 5.0  # between two readings of the counts
RETRY_S = 2.0  # before a board that went away is looked for again
STOP_S = 5.0  # until the thread is not waited for any more
LONGEST = 1 << 31  # samples of a stream; the link counts them in 32 bits
SENSOR = "sensor"
HELD_OUT = "held-out"


class Session:
    """Start it, look at `snapshot` and `signal`, ask for what the page offers, and `stop` it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.who = ""  # of the last clip
        self._link = LinkWatch()
        self._lost = 0  # requests, of the connections that have ended
        self._drift = DriftWatch(plan.profile)
        self._reader = plan.reader()
        self._clips = ClipRecorder(plan.save)
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # of all below, which other threads read
        self._state, self._message = State.STARTING, "starting"
        self._paused = False
        self._device: Device | None = None
        self._firmware: Firmware | None = None
        self._source: Source | None = None
        self._wanted = SENSOR
        self._history: SignalHistory | None = None
        self._predictions: deque[Prediction] = deque(maxlen=MAX_PREDICTIONS)
        self._total = 0
        self._decision: Prediction | None = None
        self._notes: deque[Note] = deque(maxlen=MAX_NOTES)
        self._pushed = 0  # samples of the board's stream
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, the connection and an emulator."""
        self._stopping.set()
        self._thread.join(STOP_S)
        with self._lock:
            device = self._device
        if self._thread.is_alive() and device is not None:
            device.close()  # it waits for a board that does not answer
            self._thread.join(STOP_S)
        self._drift.stop()

    def pause(self) -> None:
        """Take no samples until `resume`."""
        self._asked.put(self._pause)

    def resume(self) -> None:
        """Go on, with a new stream."""
        self._asked.put(self._resume)

    def choose(self, source: str) -> None:
        """SENSOR, HELD_OUT, or the number of one of the plan's takes as text."""
        self._asked.put(lambda: self._choose(source))

    def record(self, request: ClipRequest) -> None:
        """Record a labelled clip from the next sample on; UsageError for one that cannot be."""
        self.plan.refuse(request)
        with self._lock:
            running, busy = self._state is State.RUNNING, self._clips.clip.running
        if not running:
            raise UsageError("no samples arrive now: the board is away, or the session is paused")
        if busy:
            raise UsageError("a clip is being recorded already")
        self.who = request.who
        self._asked.put(lambda: self._record(request))

    def cancel_clip(self) -> None:
        """Forget the clip that is being recorded."""
        self._asked.put(lambda: self._clips.fail("cancelled; nothing was written"))

    def snapshot(self) -> Snapshot:
        """All but the signal, at this moment."""
        plan, drift = self.plan, self._drift.drift
        with self._lock:
            lost = self._lost + (self._device.lost if self._device else 0)
            link = replace(self._link.counts, retries=lost)
            source, hello = self._source, self._firmware.hello if self._firmware else None
            return Snapshot(
                state=self._state,
                message=self._message,
                board=plan.board,
                target=plan.target,
                unit=plan.unit,
                emulated=plan.emulated,
                clock_hz=plan.clock_hz,
                firmware=self._firmware,
                link=link,
                source=source.name if source else NO_SOURCE,
                chosen=self._wanted,
                from_sensor=bool(source and source.from_sensor),
                slow=source.slow if source else 1.0,
                predictions=tuple(self._predictions)[-SHOWN:],
                total=self._total,
                decision=self._decision,
                drift=drift,
                clip=self._clips.clip,
                notes=tuple(self._notes),
                quiet_s=time.monotonic() - self._link.heard,
                arena_used=hello.arena_used if hello else 0,
                stack_used=hello.stack_used if hello else 0,
            )

    def signal(self, seconds: float | None = None) -> Signal | None:
        """The last `seconds` of the signal, or all that is kept; None before the first sample."""
        with self._lock:
            history = self._history
            if history is None or not history.end:
                return None
            rate = history.sensor.rate_millihertz / 1000
            return history.last(history.end if seconds is None else max(1, int(seconds * rate)))

    def predictions(self) -> tuple[Prediction, ...]:
        """All that are kept."""
        with self._lock:
            return tuple(self._predictions)

    def now_s(self) -> float:
        """Seconds since the session's start, as in Prediction.at_s."""
        return time.monotonic() - self._began

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connect()
            except TinyproofError as error:
                self._gone(str(error))
            except Exception as error:  # a slip of ours must not end the page in silence
                log.exception("the live session")
                self._gone(f"an error of these tools: {error!r}")
            self._stopping.wait(RETRY_S)
        self._tell(State.STOPPED, "stopped")

    def _connect(self) -> None:
        transport = self._link.wrap(self.plan.open())
        with contextlib.ExitStack() as stack:
            device = Device(
                transport,
                start_s=self.plan.start_s,
                run_timeout_s=RUN_S,
                running=not self.plan.emulated,
                images=self.plan.images,
            )
            stack.enter_context(device)
            with self._lock:
                self._device = device
            self.plan.check(device)
            self._here(device)
            self._serve(device)

    def _here(self, device: Device) -> None:
        firmware = Firmware(
            hello=device.info,
            experiment=self.plan.experiment,
            flash_bytes=self.plan.flash_bytes,
            ram_bytes=self.plan.ram_bytes,
        )
        with self._lock:
            again = self._firmware is not None
            self._firmware = firmware
        if again:
            self._link.reconnected()
        self._note("the board is back" if again else "the board answers")
        self._open_source(device)
        self._tell(State.PAUSED if self._paused else State.RUNNING, "")

    def _serve(self, device: Device) -> None:
        looked = counted = time.monotonic()
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Empty):
                self._asked.get_nowait()()
            now = time.monotonic()
            if now - looked >= LOOK_S:
                looked = now
                self._look(device)
            if now - counted >= DRIFT_S:
                counted = now
                self._drift.read(device)
            if self._paused or self._source is None:
                self._stopping.wait(TURN_S)
                continue
            chunk = self._source.read()
            self._take(device, chunk)
            if len(chunk.samples) < protocol.MAX_SAMPLES // len(self._source.sensor.channels):
                self._stopping.wait(TURN_S)

    def _look(self, device: Device) -> None:
        """Ask for memory."""
        hello = device.hello()
        with self._lock:
            if self._firmware is not None:
                self._firmware = Firmware(
                    hello=hello,
                    experiment=self._firmware.experiment,
                    flash_bytes=self._firmware.flash_bytes,
                    ram_bytes=self._firmware.ram_bytes,
                )

    def _take(self, device: Device, chunk: Chunk) -> None:
        if chunk.gap and self._pushed:
            if self._source is not None and self._source.from_sensor:
                self._note("samples are missing: a new stream begins")
            self._begin()
        history = self._history
        if history is None or not len(chunk.samples):
            return
        width = chunk.samples.shape[1]
        most = max(1, min(self.plan.hop, protocol.MAX_SAMPLES // width))
        for start in range(0, len(chunk.samples), most):
            if self._stopping.is_set():
                return
            part = chunk.samples[start : start + most]
            if self._pushed + len(part) > LONGEST:
                self._begin()
            self._reader.samples(part)
            payload = protocol.samples_payload(
                self._pushed, Mode.INVOKE, part.astype("<i2").tobytes()
            )
            sent = time.monotonic()
            try:
                (reply,) = device.exchange([(MessageType.SAMPLES, payload)])
            except DeviceError as error:
                if not _lost_its_place(error):
                    raise
                self._note("the board has lost its place in the stream: a new one begins")
                self._begin()
                return
            answered_ms = 1000 * (time.monotonic() - sent)
            self._pushed += len(part)
            with self._lock:
                history.add(part)
            if self._source is not None:
                self._clips.add(part, self._source.sensor, self._source.from_sensor)
            self._read(device, reply, answered_ms, chunk.truth)

    def _read(self, device: Device, reply: bytes, answered_ms: float, truth: str) -> None:
        info = device.info
        size = min(sum(info.output_bytes), protocol.MAX_STREAM_OUTPUT)
        try:
            made = protocol.parse_inferences(reply, size)
            found = [(one, self._reader.read(one.outputs)) for one in made]
        except ValueError as error:
            raise DeviceError(f"an answer cannot be read: {error}; flash again") from error
        now = time.time()
        for one, reading in found:
            prediction = Prediction(
                index=self._total,
                at_s=self.now_s(),
                time=now,
                sample=self._history.end if self._history else 0,
                reading=reading,
                counts=info.counts(one.invoke_ticks),
                feature_counts=info.counts(one.feature_ticks),
                answer_ms=answered_ms,
                truth=truth,
            )
            with self._lock:
                self._predictions.append(prediction)
                self._total += 1
                if reading.decided:
                    self._decision = prediction

    def _begin(self) -> None:
        """The next samples begin a stream on the board, and no clip goes over the gap."""
        self._pushed = 0
        self._reader.begin()
        if self._clips.clip.running:
            self._clips.fail("samples are missing; nothing was written, record it again")
        with self._lock:
            if self._history is not None:
                self._history.gap()

    def _open_source(self, device: Device) -> None:
        self._begin()
        source = self._make_source(device)
        with self._lock:
            self._source = source
            if source is None:
                return
            history = self._history
            if history is None or history.sensor != source.sensor:
                end = history.end if history else 0
                self._history = SignalHistory(source.sensor, end)
        self._note(f"signal: {source.name}")

    def _make_source(self, device: Device) -> Source | None:
        plan = self.plan
        if self._wanted == SENSOR:
            try:
                return SensorSource(device, paced=plan.emulated)
            except Refused as refusal:
                if refusal.status == Status.BAD_TYPE:
                    raise UsageError(
                        f"{plan.board}: this firmware has no front end, so it takes no samples; "
                        "build the firmware of a recipe"
                    ) from refusal
                if refusal.status != Status.BAD_STATE:
                    raise
            if plan.replay is None or not plan.takes:
                self._note(f"the board has no sensor that answers, and {plan.no_takes}")
                return None
            self._wanted = HELD_OUT
            self._note("the board has no sensor that answers: recordings are replayed")
        assert plan.replay is not None
        if self._wanted == HELD_OUT:
            takes = plan.takes[: plan.held_out] or plan.takes
            return ReplaySource(takes, plan.replay, f"{len(takes)} held-out recordings in turn")
        take = plan.takes[int(self._wanted)]
        return ReplaySource([take], plan.replay, f"recording {take.name}")

    def _pause(self) -> None:
        self._paused = True
        if self._clips.clip.running:
            self._clips.fail("paused; nothing was written")
        self._tell(State.PAUSED, "")

    def _resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        if self._device is not None:
            self._open_source(self._device)
        self._tell(State.RUNNING, "")

    def _choose(self, source: str) -> None:
        numbers = {str(number) for number in range(len(self.plan.takes))}
        if source not in {SENSOR, *(({HELD_OUT} | numbers) if self.plan.takes else set())}:
            return
        self._wanted = source
        if self._device is not None:
            self._open_source(self._device)

    def _record(self, request: ClipRequest) -> None:
        if self._source is not None and not self._clips.clip.running:  # another page was first
            self._clips.begin(request, self._source.sensor)

    def _gone(self, message: str) -> None:
        with self._lock:
            self._lost += self._device.lost if self._device else 0
            self._device = None
            told = self._state is State.AWAY and message == self._message
        if self._clips.clip.running:
            self._clips.fail("the board went away; nothing was written")
        if not told:
            self._note(f"the board is away: {message}")
        self._tell(State.AWAY, message)

    def _tell(self, state: State, message: str) -> None:
        with self._lock:
            self._state, self._message = state, message

    def _note(self, text: str) -> None:
        with self._lock:
            if self._notes and self._notes[-1].text == text:
                self._notes.pop()
            self._notes.append(Note(time=time.time(), text=text))

    @property
    def clip(self) -> Clip:
        """The clip that is being recorded, or the last one."""
        return self._clips.clip


def _lost_its_place(error: DeviceError) -> bool:
    """Whether a repeated SAMPLES was refused because the first one had arrived after all."""
    cause = error if isinstance(error, Refused) else error.__cause__
    return isinstance(cause, Refused) and cause.status == Status.BAD_STATE
