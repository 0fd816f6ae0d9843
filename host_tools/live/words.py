"""Numbers and states of a session in words, for page, table and export."""

from __future__ import annotations

import time
from dataclasses import dataclass

from host_tools.live.state import NO_SOURCE, Firmware, Prediction, Snapshot, State

NONE = "–"
FIGURE_SPACE = "\N{FIGURE SPACE}"  # as wide as a digit
QUIET_S = 3.0  # after which a silent board is worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a list: its name and its value."""

    name: str
    value: str


def clock(seconds: float) -> str:
    """A time of day here."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def percent(share: float | None) -> str:
    """A share from 0 to 1."""
    return NONE if share is None else f"{share:.0%}"


def latency(counts: int, snapshot: Snapshot) -> str:
    """What something has cost, in the board's own unit; time only where a clock says it.

    Always with as many decimals, so that the digits of one inference stand where the last one's do.
    """
    if snapshot.unit == "nanoseconds":
        return f"{counts / 1e6:.3f} ms"
    if snapshot.unit == "cycles" and snapshot.clock_hz:
        return f"{1000 * counts / snapshot.clock_hz:.3f} ms ({counts:,} cycles)"
    return f"{counts:,} {snapshot.unit}"


def answer(prediction: Prediction) -> str:
    """How long the answer took, at least three digits wide."""
    return f"{prediction.answer_ms:{FIGURE_SPACE}>3.0f} ms"


def size(used: int | None, whole: int | None = None) -> str:
    """Bytes, of how many."""
    if used is None:
        return NONE
    return f"{used:,} B" + (f" of {whole:,}" if whole else "")


def headline(snapshot: Snapshot) -> str:
    """What is going on, in one short sentence."""
    if snapshot.state is State.RUNNING and snapshot.quiet_s > QUIET_S:
        return f"waiting for the board, silent for {snapshot.quiet_s:.0f} s"
    if snapshot.state is State.RUNNING and snapshot.source == NO_SOURCE:
        return "connected, but no signal"
    if snapshot.state is State.RUNNING and snapshot.slow < 0.9:
        return f"running at {snapshot.slow:.0%} of real time"
    if snapshot.state is State.AWAY:
        return "board away, looking for it"
    return str(snapshot.state.value)


def cost(last: Prediction, snapshot: Snapshot) -> str:
    """What the last prediction has cost; a process of this computer is no board."""
    model, front_end = (latency(c, snapshot) for c in (last.counts, last.feature_counts))
    where = " on this computer" if snapshot.unit == "nanoseconds" else ""
    now = snapshot.state is State.RUNNING
    old = "" if now else f"The last one, at {clock(last.time)}. "
    return f"{old}Model {model}, front end {front_end}{where}; answer after {last.answer_ms:.0f} ms"


def spoken(prediction: Prediction | None) -> str:
    """A prediction for a screen reader."""
    if prediction is None:
        return ""
    reading = prediction.reading
    share = "" if reading.confidence is None else f", {reading.confidence:.0%}"
    return f"Predicted {reading.text}{share}"


def where(snapshot: Snapshot) -> str:
    """Where the firmware runs."""
    return f"{'emulator' if snapshot.emulated else 'port'} {snapshot.target}"


def board_facts(snapshot: Snapshot) -> list[Fact]:
    """What runs on the board."""
    facts = [
        Fact(name="Board", value=snapshot.board),
        Fact(name="Runs on", value=where(snapshot)),
    ]
    if snapshot.firmware is None:
        return facts
    hello = snapshot.firmware.hello
    return [
        *facts,
        Fact(name="Model", value=hello.model_name),
        Fact(name="Hash (SHA-256)", value=hello.model_sha256[:16]),
        Fact(name="Kernels", value=hello.kernels),
        Fact(name="Framework, engine", value=f"{hello.framework}, {hello.engine}"),
        Fact(name="Firmware run", value=hello.run_id),
        Fact(name="Experiment", value=snapshot.firmware.experiment or NONE),
        Fact(name="tinyproof", value=hello.version),
    ]


def memory_facts(snapshot: Snapshot) -> list[Fact]:
    """Arena, stack, flash and RAM."""
    firmware: Firmware | None = snapshot.firmware
    arena = stack = NONE
    if firmware is not None:
        hello = firmware.hello
        arena = size(snapshot.arena_used, hello.arena_bytes)
        stack = size(snapshot.stack_used, hello.stack_bytes) if hello.stack_bytes else "not known"
    return [
        Fact(name="Arena, used", value=arena),
        Fact(name="Stack, most used", value=stack),
        Fact(name="Flash", value=size(firmware.flash_bytes if firmware else None)),
        Fact(name="RAM, static", value=size(firmware.ram_bytes if firmware else None)),
    ]


def link_facts(snapshot: Snapshot) -> list[Fact]:
    """How the link does."""
    link = snapshot.link
    return [
        Fact(name="Requests", value=f"{link.sent:,}"),
        Fact(name="Retries", value=f"{link.retries:,}"),
        Fact(name="CRC errors, here", value=f"{link.crc_errors:,}"),
        Fact(name="CRC errors, board", value=f"{link.refused:,}"),
        Fact(name="Reconnects", value=f"{link.reconnects:,}"),
        Fact(name="Received", value=f"{link.received_bytes / 1024:,.0f} KiB"),
    ]


def drift_facts(snapshot: Snapshot) -> list[Fact]:
    """What the board has counted of its inputs."""
    drift = snapshot.drift
    verdict = ("ALARM: " if drift.alarms else "") + drift.text
    facts = [
        Fact(name="Verdict", value=verdict),
        Fact(name="Windows counted", value=f"{drift.windows:,}"),
    ]
    if drift.alarms:
        facts.append(Fact(name="Alarming tests", value=", ".join(drift.alarms)))
    return facts


def clip_text(snapshot: Snapshot) -> str:
    """How far a clip is, or how the last one ended."""
    clip = snapshot.clip
    if clip.running:
        return f"recording {clip.label}: {clip.have:,} of {clip.wanted:,} samples"
    if not clip.text:
        return ""
    return f"{'Failed' if clip.failed else 'Saved'}: {clip.text}"
