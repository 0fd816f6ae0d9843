"""Present figures beside those of a baseline: what has changed, and what may not have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from host_tools.errors import UsageError
from host_tools.gate.baseline import MEASURES, Baseline, Group, Kind, Limit, Limits

IDENTITY = ("model_sha256", "compiler")  # may change, and is told
PLACE = ("board", "where", "kernels", "framework", "engine", "score")  # else nothing compares
R2 = "R2"  # a score that is no share of anything: it may lie below 0
SCORES = {"float_score": "the float network", "score": "int8"}
SHORT = 12  # digits of a hash in a note
_PERCENT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?\s*%")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure in one place; `wrong` says why it is over its limit, '' where it is not."""

    place: str
    measure: str
    before: float | None
    now: float | None
    limit: str
    wrong: str
    score: str | None = None  # what a score is, such as balanced accuracy

    @property
    def title(self) -> str:
        """What the measure is called in a table."""
        if self.score and self.measure in SCORES:
            return f"{self.score} of {SCORES[self.measure]}"
        return MEASURES[self.measure][0]

    @property
    def better(self) -> bool:
        """Whether it is within its limit and better than recorded."""
        if self.before is None or self.now is None or self.wrong:
            return False
        more = MEASURES[self.measure][1] is Kind.SCORE
        return self.now > self.before if more else self.now < self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All rows, and what else there is to say of the comparison."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    broken: tuple[str, ...]  # places that cannot be compared, and checks that failed before

    @property
    def wrong(self) -> list[Row]:
        """What is over its limit."""
        return [row for row in self.rows if row.wrong]

    @property
    def passed(self) -> bool:
        """Whether everything is within its limits."""
        return not self.wrong and not self.broken


def parse_share(text: str) -> float:
    """'2%' -> 0.02; UsageError for anything else."""
    if not _PERCENT.fullmatch(text.strip()):
        raise UsageError(f"expected a number with a percent sign, as 2%, got {text!r}")
    return float(text.strip().removesuffix("%")) / 100


def with_limits(
    limits: Limits, max_growth: str | None, max_drop: str | None, told: Iterable[str]
) -> Limits:
    """`limits` with what is said now in their place; UsageError for what cannot be a limit.

    `told` are texts such as 'flash=5%' (against the baseline) and 'flash=65536' (in any case).
    """
    measures = dict(limits.measures)
    for text in told:
        name, _, value = text.partition("=")
        if name not in MEASURES:
            raise UsageError(f"--limit {text!r} (LIMIT=): expected one of {', '.join(MEASURES)}")
        known = measures.get(name, Limit())
        if _PERCENT.fullmatch(value):
            measures[name] = known.model_copy(update={"change": parse_share(value)})
        elif _NUMBER.fullmatch(value):
            measures[name] = known.model_copy(update={"bound": float(value)})
        else:
            raise UsageError(
                f"--limit {text!r} (LIMIT=): expected {name}=2% (against the baseline; points of a "
                f"score) or {name}=<number> (never beyond), got {value!r}"
            )
    return Limits(
        max_growth=limits.max_growth if max_growth is None else parse_share(max_growth),
        max_drop=limits.max_drop if max_drop is None else parse_share(max_drop),
        measures=measures,
    )


def compare(
    baseline: Baseline, now: dict[str, Group], limits: Limits, failed: tuple[str, ...] = ()
) -> Verdict:
    """Every figure of the baseline beside what is measured now.

    `failed` are checks that ended before everything was measured.
    """
    rows: list[Row] = []
    notes: list[str] = []
    broken = list(failed)
    for place, before in baseline.groups.items():
        found = now.get(place)
        if found is None:
            broken.append(f"{place}: not measured with the present model")
            continue
        if moved := [key for key in PLACE if getattr(before, key) != getattr(found, key)]:
            broken += [f"{place}: {_changed(before, found, key)}, so it compares with nothing; "
                       "record it again" for key in moved]  # fmt: skip
            continue
        notes += [
            f"{place}: {_changed(before, found, key)}"
            for key in IDENTITY
            if getattr(before, key) != getattr(found, key)
        ]
        rows += _rows(place, before, found, limits)
    if new := sorted(set(now) - set(baseline.groups)):
        notes.append(f"not in the baseline, so not compared: {', '.join(new)}")
    return Verdict(rows=tuple(rows), notes=tuple(notes), broken=tuple(broken))


def _changed(before: Group, now: Group, key: str) -> str:
    was, is_ = (getattr(group, key) or "none" for group in (before, now))
    if key == "model_sha256":
        was, is_ = was[:SHORT], is_[:SHORT]
    return f"{key.replace('_', ' ')} was {was}, is {is_}"


def _rows(place: str, before: Group, now: Group, limits: Limits) -> Iterator[Row]:
    for measure in MEASURES:
        was, is_ = before.figures.get(measure), now.figures.get(measure)
        if was is None and is_ is None:
            continue
        limit = limits.measures.get(measure, Limit())
        yield Row(
            place=place,
            measure=measure,
            before=was,
            now=is_,
            limit=_limit_text(measure, limit, limits, now.score),
            wrong=_wrong(measure, was, is_, limit, limits),
            score=now.score,
        )


def allowed(measure: str, limit: Limit, limits: Limits) -> float:
    """By how much a measure may get worse: a share of it, points, or a number of faults."""
    kind = MEASURES[measure][1]
    if limit.change is not None:
        return limit.change
    shares = {Kind.SIZE: limits.max_growth, Kind.SCORE: limits.max_drop, Kind.RATE: limits.max_drop}
    return shares.get(kind, 0.0)


def _wrong(measure: str, was: float | None, is_: float | None, limit: Limit, limits: Limits) -> str:
    kind, change = MEASURES[measure][1], allowed(measure, limit, limits)
    if is_ is None:
        return "not measured now"
    if limit.bound is not None and (is_ < limit.bound if kind is Kind.SCORE else is_ > limit.bound):
        return "under its bound" if kind is Kind.SCORE else "over its bound"
    if was is None:
        return ""  # new: nothing to compare with
    slack = 1e-9  # of the decimal fraction that a share is written as
    if kind is Kind.SCORE:
        return "fell" if was - is_ > change + slack else ""
    worst = was * (1 + change) if kind in (Kind.SIZE, Kind.FAULTS) else was + change
    return "grew" if is_ > worst + slack else ""


def _limit_text(measure: str, limit: Limit, limits: Limits, score: str | None) -> str:
    kind, change = MEASURES[measure][1], allowed(measure, limit, limits)
    told = {
        Kind.SIZE: f"+{change * 100:.4g} %",
        Kind.SCORE: f"-{change:.4g}" if is_plain(measure, score) else f"-{change * 100:.4g} points",
        Kind.RATE: f"+{change * 100:.4g} points",
        Kind.FAULTS: "none more",
    }[kind]
    if limit.bound is not None:
        word = "at least" if kind is Kind.SCORE else "at most"
        told += f", {word} {value_text(measure, limit.bound, score)}"
    return told


def is_plain(measure: str, score: str | None) -> bool:
    """Whether a figure is a score that is no share, and so no percentage."""
    return measure in SCORES and score == R2


def value_text(measure: str, value: float | None, score: str | None) -> str:
    """A figure as tables show it; `score` is what a score is, as of Row."""
    if value is None:
        return "–"
    if is_plain(measure, score):
        return f"{value:.4f}"
    kind = MEASURES[measure][1]
    if kind in (Kind.SCORE, Kind.RATE):
        return f"{value * 100:.2f} %"
    return f"{value:,.0f}"


def change_text(row: Row) -> str:
    """How far a figure is from the baseline's."""
    if row.before is None or row.now is None:
        return "new" if row.before is None else "–"
    if row.before == row.now:
        return "="
    kind = MEASURES[row.measure][1]
    if is_plain(row.measure, row.score):
        return f"{row.now - row.before:+.4f}"
    if kind in (Kind.SCORE, Kind.RATE):
        return f"{(row.now - row.before) * 100:+.2f} points"
    if not row.before or kind is Kind.FAULTS:
        return f"{row.now - row.before:+,.0f}"
    return f"{row.now / row.before - 1:+.2%}"
