"""tinyproof gate"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from host_tools.errors import HostToolsError, UsageError
from host_tools.gate.baseline import (
    MEASURES,
    PRESENT,
    Baseline,
    Limits,
    baseline_path,
    load_baseline,
    write_baseline,
)
from host_tools.gate.compare import compare, with_limits
from host_tools.gate.figures import NETWORK, measured
from host_tools.gate.show import print_verdict, summary
from host_tools.options import (
    DEFAULT_BOARD,
    BoardName,
    File,
    option,
    plan_options,
    source_options,
    switch,
)
from host_tools.report.collect import ON_BOARD
from host_tools.stages.graph import Source, measured_stages
from host_tools.stages.session import show_plan, up_to_date
from host_tools.wording import as_typed
from model.errors import TinyproofError


@click.command(
    help="Compare accuracy, sizes, counts, parity and drift with the project's committed baseline. "
    "Everything that is gated in an emulator is brought up to date before. Measures: "
    f"{', '.join(MEASURES)}.",
    short_help="compare all results with the committed baseline",
)
@switch("--record", help="write the baseline from what is measured now, with the limits given")
@option("--baseline", type=File(), help="default: NAME.baseline.json in the project's folder")
@option("--max-growth", metavar="2%", help="sizes and counts may grow by; default: the baseline's")
@option("--max-drop", metavar="1%", help="scores may fall by (points); default: the baseline's")
@option(
    "--limit",
    "limits",
    make="LIMIT",
    multiple=True,
    metavar="MEASURE=VALUE",
    help="of one measure: flash=5% against the baseline, flash=65536 in any case; repeatable",
)
@option(
    "--board",
    "boards",
    make="BOARD",
    type=BoardName(),
    multiple=True,
    help="to record; repeatable; default: as recorded before, else qemu_m4",
)
@switch("--hardware", help="record what boards at a port have shown, too")
@option("--summary", type=File(), metavar="FILE", help="append a summary in Markdown; -: print it")
@source_options
@plan_options
def command(
    source: Source,
    record: bool,
    baseline: Path | None,
    max_growth: str | None,
    max_drop: str | None,
    limits: Sequence[str],
    boards: Sequence[str],
    hardware: bool,
    summary: Path | None,
    dry_run: bool,
    why: bool,
) -> None:
    """0 within the limits, 1 over them, 2 without a baseline."""
    path = baseline or baseline_path(source.name, imported=source.recipe is None)
    if (boards or hardware) and not record:
        raise click.UsageError("--board and --hardware say what is recorded: give --record too")
    how = f"make gate {source.says} RECORD=1"
    known = load_baseline(path, how) if path.exists() or not record else None
    said = with_limits(known.limits if known else Limits(), max_growth, max_drop, limits)
    places = list(boards) or [name for name in (known.groups if known else ()) if name != NETWORK]
    places = places or [DEFAULT_BOARD]
    stages = measured_stages(source, [name for name in places if not name.endswith(ON_BOARD)])
    if dry_run or why:
        show_plan(stages, why=why)
        return
    if record:
        more = [f"{name}{ON_BOARD}" for name in places] if hardware else []
        with up_to_date(source, stages):
            now = _present(source, [*places, *more], said)
        _record(path, now, places)
        return
    assert known is not None
    failed: tuple[str, ...] = ()
    try:
        with up_to_date(source, stages):
            pass
    except TinyproofError as error:
        if error.exit_code != 1:
            raise
        failed = (str(error),)
    _judge(source, known, said, path, failed, summary)


def _present(source: Source, places: Sequence[str], limits: Limits) -> Baseline:
    """What is measured now, kept beside the results."""
    groups = measured(source.folder, places)
    now = Baseline(name=source.name, limits=limits, groups=groups)
    write_baseline(source.folder / PRESENT, now)
    return now


def _record(path: Path, now: Baseline, places: Sequence[str]) -> None:
    if missing := [name for name in places if name not in now.groups]:
        raise UsageError(f"not recorded, because not measured: {', '.join(missing)}")
    write_baseline(path, now)
    figures = sum(len(group.figures) for group in now.groups.values())
    print(f"{path}: {figures} figures of {', '.join(now.groups)}; commit it")


def _judge(
    source: Source,
    known: Baseline,
    limits: Limits,
    path: Path,
    failed: tuple[str, ...],
    summary_file: Path | None,
) -> None:
    """Print the verdict; HostToolsError where something is over its limits."""
    now = _present(source, list(known.groups), known.limits)
    verdict = compare(known, now.groups, limits, failed)
    print_verdict(verdict, str(path))
    if summary_file is not None:
        text = summary(known, verdict)
        if summary_file.name == "-":
            print(text, end="")
        else:
            with summary_file.open("a", encoding="utf-8") as file:
                file.write(text)
    if not verdict.passed:
        again = f"make gate {source.says} RECORD=1"
        sys.stdout.flush()
        raise HostToolsError(
            as_typed(
                f"gate: {len(verdict.wrong) + len(verdict.broken)} over the limits of {path}; make "
                f"it good, or record the new figures and commit them with the reason: `{again}`"
            )
        )
