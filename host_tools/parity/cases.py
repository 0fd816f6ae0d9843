"""Every case's answer of a device, whatever the line does; what gives up is tried again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.progress import track

from host_tools.errors import DeviceError
from host_tools.link.device import Device
from quantize.golden import Golden

DEAD = 3  # cases in a row that are given up: the device will answer none


@dataclass(slots=True, kw_only=True)
class Answers:
    """What a device has answered."""

    outputs: dict[int, list[bytes]] = field(default_factory=dict)  # of each case
    put_aside: list[int] = field(default_factory=list)  # cases that were given up once
    ended: DeviceError | KeyboardInterrupt | None = None  # what ended the run before its end


def answer_cases(device: Device, golden: Golden, chosen: Sequence[int], title: str) -> Answers:
    """Run the `chosen` cases; those that are given up once more at the end.

    Cases without an answer are not among the outputs: of a device that has gone for good, of an
    interrupt, or of a case that was given up twice.
    """
    answers = Answers()
    try:
        answers.put_aside = _run(device, golden, chosen, answers, title)
        _run(device, golden, answers.put_aside, answers, f"{title} again")
    except (DeviceError, KeyboardInterrupt) as error:
        answers.ended = error
    return answers


def _run(
    device: Device, golden: Golden, chosen: Sequence[int], answers: Answers, title: str
) -> list[int]:
    """Those that were given up."""
    given_up, in_a_row = list[int](), 0
    cases = (
        (golden.case_inputs(case), list(map(golden.case_inputs, golden.before(case))))
        for case in chosen
    )
    for place, got in track(
        device.run_all(cases),
        total=len(chosen),
        description=title,
        transient=True,
        disable=not sys.stdout.isatty() or not chosen,
    ):
        if not isinstance(got, DeviceError):
            answers.outputs[chosen[place]] = got
            in_a_row = 0
            continue
        given_up.append(chosen[place])
        in_a_row += 1
        if in_a_row == DEAD:
            raise got
    return given_up
