"""The schema that a recipe declares: channels, type and ranges of every value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from model.checks.base import Finding, blocks, recording_title
from model.datasets.base import Dataset
from model.recipe import CheckConfig

_CASES = 100  # failures of one column that are kept


def declared_schema(dataset: Dataset, config: CheckConfig) -> pa.DataFrameSchema:
    """The recipe's channels and limits as a schema of one row a sample, one column a channel."""
    columns = {
        name: pa.Column(
            "float32",
            pa.Check.in_range(low, high, n_failure_cases=_CASES, ignore_na=True),
            nullable=False,
            metadata={"unit": unit},
        )
        for name, unit, low, high in zip(
            dataset.channels, dataset.units, config.minimum, config.maximum, strict=True
        )
    }
    return pa.DataFrameSchema(columns, strict=True, ordered=True, unique_column_names=True)


def channels(dataset: Dataset) -> Finding:
    """Channels with their units, and the type and width of every recording's samples."""
    expected = (np.dtype(np.float32), len(dataset.channels))
    problems = (
        f"{recording_title(dataset, i)}: expected float32 of {expected[1]} channels, got "
        f"{r.values.dtype} of {r.values.shape[1:]}; the source has to convert it"
        for i, r in enumerate(dataset.recordings)
        if (r.values.dtype, *r.values.shape[1:]) != expected
    )
    pairs = (f"{n} in {u}" for n, u in zip(dataset.channels, dataset.units, strict=True))
    return Finding(summary=", ".join(pairs), problems=tuple(problems))


@dataclass(slots=True)
class _Extent:
    """What the finite values of one channel span, and where the first refused one is."""

    low: float = math.inf
    high: float = -math.inf
    refused: int | None = None  # row in all recordings


def values(dataset: Dataset, config: CheckConfig) -> tuple[Finding, Finding]:
    """(non-finite values, ranges): each value against the schema."""
    ends = np.cumsum([len(r.values) for r in dataset.recordings])
    extents = {name: _Extent() for name in dataset.channels}
    some_failed = False
    for first, block in blocks(dataset.recordings):
        failed = _failed_rows(block, dataset, config)
        some_failed = some_failed or bool(failed)
        for c, (name, extent) in enumerate(extents.items()):
            finite = block[np.isfinite(block[:, c]), c]
            if len(finite):
                extent.low = min(extent.low, float(finite.min()))
                extent.high = max(extent.high, float(finite.max()))
            rows = [row for row in failed.get(name, []) if np.isfinite(block[row, c])]
            if rows and extent.refused is None:
                extent.refused = first + rows[0]

    def place(row: int) -> str:
        i = int(np.searchsorted(ends, row, "right"))
        return f"{recording_title(dataset, i)}, sample {row - (ends[i - 1] if i else 0)}"

    def ranges() -> Iterator[str]:
        for c, (name, extent) in enumerate(extents.items()):
            if extent.refused is not None:
                yield (
                    f"channel {name}: {extent.low:.3g} to {extent.high:.3g} {dataset.units[c]}, "
                    f"expected {config.minimum[c]:g} to {config.maximum[c]:g}, the first other "
                    f"value in {place(extent.refused)}; check the units"
                )

    spans = (
        f"{name} {extent.low:.3g}..{extent.high:.3g} {unit}"
        for (name, extent), unit in zip(extents.items(), dataset.units, strict=True)
    )
    return (
        Finding(summary="none", problems=tuple(_non_finite(dataset) if some_failed else ())),
        Finding(summary=", ".join(spans), problems=tuple(ranges())),
    )


def _failed_rows(
    block: npt.NDArray[np.float32], dataset: Dataset, config: CheckConfig
) -> dict[str, list[int]]:
    """Channel -> rows that the schema refuses, the first _CASES of each rule, in order."""
    try:
        declared_schema(dataset, config).validate(
            pd.DataFrame(block, columns=list(dataset.channels), copy=False), lazy=True
        )
    except SchemaErrors as error:
        cases = error.failure_cases
        return {
            str(name): sorted({int(row) for row in rows})
            for name, rows in cases.groupby("column")["index"]
        }
    return {}


def _non_finite(dataset: Dataset) -> Iterator[str]:
    for i, recording in enumerate(dataset.recordings):
        bad = np.argwhere(~np.isfinite(recording.values))
        if len(bad):
            row, column = bad[0]
            yield (
                f"{recording_title(dataset, i)}: {len(bad)} values are not finite, the first at "
                f"sample {row}, channel {dataset.channels[column]}; remove or repair the recording"
            )
