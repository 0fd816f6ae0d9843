"""What a board's result file says, as checks and as cells of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host_tools.report.results import unanswered

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was compared; `passed` None: it was not."""

    name: str
    passed: bool | None
    message: str  # what was found, or why not


def checks_of(command: str, result: Result) -> list[Check]:
    """What a command has checked on one board; the names do not depend on what was found."""
    return {"parity": _parity, "bench": _bench, "drift": _drift}[command](result)


def _parity(result: Result) -> list[Check]:
    equal, cases = result["equal"], result["cases"]
    outputs = f"{equal} of {cases} cases equal {result['reference']}{_kept(result)}"
    if d := result["first_difference"]:
        outputs += (
            f"; first difference: case {d['case']}, output tensor {d['tensor']}, index "
            f"{d['index']}: expected {d['expected']}, got {d['got']}"
        )
    passed: bool | None = equal == cases
    if told := unanswered(result):
        outputs += f"; {told}"
        passed = False if result["first_difference"] else None  # no proof, and no difference
    tested = result["selftest"]
    told = f"{tested['failures']} failures in {tested['cases']} cases"
    own = tested["failures"] == 0 if tested["cases"] else None  # None: the firmware has none
    found = [
        Check(name="every output byte", passed=passed, message=outputs),
        Check(name="self-test", passed=own, message=told),
    ]
    floats = result["float_comparison"]
    if floats is None:
        told = f"not compared with a float network: {result['float_missing']}"
        found.append(Check(name="float network", passed=None, message=told))
    else:
        told = "; ".join(floats["failures"]) or f"within the bounds of {floats['network']}"
        found.append(Check(name="float network", passed=not floats["failures"], message=told))
    if (layers := result["layers"]) is not None:
        first = layers["first"]
        told = f"operator {first['operator']} {first['op']} differs first" if first else "equal"
        found.append(Check(name="every layer", passed=first is None, message=told))
    return found


def _kept(result: Result) -> str:
    """Of a run of fewer cases than there are: how many there are."""
    kept = result["golden_cases"]
    return f" ({kept} kept)" if result["cases"] < kept else ""


def _bench(result: Result) -> list[Check]:
    told = f"{result['counts']:,} {result['unit']} an inference"
    return [Check(name="counted", passed=True, message=told)]


def _drift(result: Result) -> list[Check]:
    return [
        Check(
            name=row["test"],
            passed=not row["alarm"],
            message=f"PSI {row['psi']:.3f}, usual {row['usual_psi']:.3f}, p {row['p']:.4f}",
        )
        for row in result["rows"]
    ]


def summary(command: str, result: Result) -> str:
    """The cell 'result' of the table."""
    if command == "parity":
        return f"{result['equal']}/{result['cases']} equal{_kept(result)}"
    if command == "drift":
        alarms = sum(row["alarm"] for row in result["rows"])
        return f"{alarms}/{len(result['rows'])} alarm"
    return "counted"


def retries(result: Result) -> int | None:
    """How often a case was asked again; None where nobody has counted."""
    found = (result.get("link") or {}).get("retries")
    return found if isinstance(found, int) else None


def counts(result: Result | None) -> str:
    """The cell of what an inference costs, of a bench.json; '-' where there is none."""
    if result is None or "counts" not in result:
        return "-"
    return f"{result['counts']:,} {result['unit']}"
