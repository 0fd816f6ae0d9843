"""What a report says of each board one can buy: its time, whether the firmware fits, how to get it
there.

A time is the board's own cycle counter where one has run, else an estimate, and is called that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from host_tools.bench.estimate import CHIPS
from host_tools.boards.board import BOARDS, Board, load_board
from host_tools.boards.chip_kernels import flashed_kernels
from host_tools.report.collect import ON_BOARD, budget_of, join_words, make_variable
from host_tools.report.text import format_bytes, format_count, format_ms
from host_tools.wording import as_typed

JsonObject = dict[str, Any]

FITS, TOO_BIG, NOT_BUILT = "fits", "does not fit", "not built"
# Names that Linux gives to the ports of these boards, by what uploads.
PORTS = {"sam-ba": "/dev/ttyACM0", "esptool": "/dev/ttyUSB0"}
ADAPTER = "/dev/ttyUSB0"


def real_boards() -> list[Board]:
    """The boards that firmware can be uploaded to."""
    return [board for board in map(load_board, sorted(BOARDS, reverse=True)) if board.upload]


def chip_times(content: JsonObject) -> Iterator[tuple[str, str, str]]:
    """(value, what it is, detail) of one inference on each board, as a tile has it; none of a chip
    that was not measured and whose instructions' times nobody has written down."""
    for board in real_boards():
        for name, found in _of_real(content, board):
            if (bench := found["bench"]) and bench["unit"] == "cycles":
                told = format_ms(bench["counts"] / board.clock_hz * 1e3)
                detail = f"{format_count(bench['counts'])} cycles at {_mhz(board.clock_hz)}"
                yield told, f"an inference, measured on {name}", detail
                break
        else:
            yield from _estimated(content, board)


def _estimated(content: JsonObject, board: Board) -> Iterator[tuple[str, str, str]]:
    """Nothing of a chip that there is no estimate for."""
    chip = next((chip for chip in CHIPS if chip.name.lower() == board.soc), None)
    if chip is None:
        return
    bench = (content["boards"].get(chip.emulated_by) or {}).get("bench") or {}
    found = next((e for e in bench.get("estimates", ()) if e["chip"] == chip.name), None)
    what = f"an inference on {board.id}, estimate"
    if found is None:
        count = f"make bench {make_variable(content)} BOARD={chip.emulated_by}"
        yield "–", what, f"`{count}` counts its instructions"
        return
    best, middle, worst = (count / board.clock_hz * 1e3 for count in found["cycles"])
    detail = f"not measured; {format_ms(best)} to {format_ms(worst)} at {_mhz(board.clock_hz)}"
    if found["clock_hz"] != board.clock_hz:
        other = format_ms(found["cycles"][1] / found["clock_hz"] * 1e3)
        detail += f", this firmware's clock; {other} at {_mhz(found['clock_hz'])}"
    yield f"≈ {format_ms(middle)}", what, detail


def counts_of_others(boards: JsonObject) -> Iterator[str]:
    """A sentence for each board whose emulator does not run the kernels of the chip: whose count it
    is not, and which board's counts these are."""
    for name, board in boards.items():
        bench, ran = board["bench"], board["kernels"]
        kernels = bench and flashed_kernels(name.partition("-")[0], ran, bench["emulator"])
        if not kernels:
            continue
        told = next(
            (
                f"; {other} counts {found['bench']['counts']:,} instructions with these"
                for other, found in boards.items()
                if found["kernels"] == kernels and _is_count(found["bench"])
            ),
            "",
        )
        yield (
            f"{name}: its emulator runs the {ran} kernels, the board gets the "
            f"{kernels} kernels (`make flash`): do not take this count for the board's{told}."
        )


def _is_count(bench: JsonObject | None) -> bool:
    return bench is not None and bool(bench["emulator"]) and bench["unit"] == "instructions"


def image_told(board: JsonObject) -> tuple[str, str]:
    """(hash, kind) of the image that was compared; a board cannot tell the hash of its own."""
    parity, size = board["parity"], board["size"]
    digest = parity.get("image_sha256")
    if digest is None and size and size.get("image_sha256"):
        hashed = f"built here: {size['image_sha256'][:16]}"
    else:
        hashed = digest[:16] if digest else "–"
    kind = [parity[key] for key in ("kernels", "framework", "engine") if parity.get(key)]
    return hashed, ", ".join(kind) or "–"


def chip_fits(content: JsonObject) -> Iterator[tuple[str, str, str]]:
    """(whether it fits, the board, flash and RAM used of what it has) of each board."""
    for board in real_boards():
        state, told = _fit(content, board)
        yield state, f"on {board.id}", told


def _fit(content: JsonObject, board: Board) -> tuple[str, str]:
    """What was linked for the board; where nothing was, what the plan and constants need alone."""
    budget, manifest = budget_of(board), content["manifest"]
    folders = [f"{board.id}-{board.upload.kernels}" if board.upload else "", board.id]
    built = [content["boards"][name]["size"] for name in folders if name in content["boards"]]
    if size := next(filter(None, built), None):
        needs = {"flash": size["flash_bytes"], "ram": size["ram_bytes"] + size["stack_bytes"]}
        state, least = FITS, ""  # what does not fit is not linked
    else:
        kernels = board.upload.kernels if board.upload else board.kernels
        plan = {"flash": manifest["weight_bytes"], "ram": manifest["arena_lower_bound"]}
        needs = content.get("needs", {}).get(kernels, plan)
        state, least = NOT_BUILT, "at least "
    if any(budget[part] is not None and needs[part] > budget[part] for part in needs):
        state = TOO_BIG
    used = [
        f"{least}{format_bytes(needs[part])} of {format_bytes(budget[part])} {title}"
        for part, title in (("flash", "flash"), ("ram", "RAM"))
    ]
    return state, ", ".join(used)


def on_board(content: JsonObject) -> list[JsonObject]:
    """How this run's firmware gets onto each board, in the words of whoever asks."""
    which = make_variable(content)
    return [_instructions(content, board, which) for board in real_boards()]


def _instructions(content: JsonObject, board: Board, which: str) -> JsonObject:
    assert board.upload is not None and board.uart is not None
    port = PORTS[board.upload.tool]
    at = f"{which} BOARD={board.id}"
    manifest, (state, told) = content["manifest"], _fit(content, board)
    sha = manifest["model_sha256"]
    runs = f"model {manifest['name']} {sha[:16]}"
    ran = [
        f"{name}, {found['parity']['equal']:,} of {found['parity']['cases']:,} cases equal"
        for name, found in _of_real(content, board)
        if found["parity"]
    ]
    commands = (
        (
            f"make flash {at} PORT={port}",
            f"builds, uploads, and ends with: uploaded to {board.id}; it runs {runs}, "
            "self-test PASS",
        ),
        (f"make parity {at} PORT={port}", "compares every output byte of the board"),
        (f"make bench {at} PORT={port}", "the board's own cycles, in place of the estimate"),
        (
            f"make whois BOARD={board.id} PORT={port}",
            f"asks the board what it runs; this firmware answers {board.id}: model "
            f"{manifest['name']}, and model {sha[:16]}... and so on",
        ),
        (f"make monitor PORT={port}", "then type help, info, selftest or bench 10"),
    )
    return {
        "name": board.id,
        "title": board.title,
        "state": state,
        "told": told,
        "cable": "One USB cable that carries data: upload and link share the board's connector.",
        "bare": _bare(board, f"{at} FRAMEWORK=bare", port),
        "how": board.upload.how,
        "ports": as_typed(f"`make flash {at}`"),
        "commands": [(as_typed(line), result) for line, result in commands],
        "ran": join_words(ran),
        "unverified": board.upload.unverified,
    }


def _bare(board: Board, at: str, port: str) -> JsonObject | None:
    """The other route, of a board whose default is a framework: bare metal, which needs none."""
    assert board.uart is not None
    if board.default_framework == "bare":
        return None
    link = f" LINK_PORT={ADAPTER}" if board.uart.wiring else ""
    told = (
        f"{board.uart.wiring} The commands above then take PORT={ADAPTER}, the adapter's port."
        if link
        else "The cable and the commands above stay the same."
    )
    return {"command": as_typed(f"make flash {at} PORT={port}{link}"), "told": as_typed(told)}


def _of_real(content: JsonObject, board: Board) -> list[tuple[str, JsonObject]]:
    """Results that came from a real board of this kind, whatever kernels it runs."""
    return [
        (name, found)
        for name, found in content["boards"].items()
        if name.endswith(ON_BOARD) and name.removesuffix(ON_BOARD).partition("-")[0] == board.id
    ]


def _mhz(clock_hz: int) -> str:
    return f"{clock_hz / 1e6:g}\u00a0MHz"
