"""Generated code and TFLite Micro's interpreter on one board, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from host_tools.boards.board import ENGINE, ENGINES

JsonObject = dict[str, Any]

TITLES = {"aot": "generated code", "tflm": "TFLite Micro"}
COUNTED = (
    ("{unit} an inference", "counts"),
    ("{unit} before the first", "start_counts"),
    ("flash, bytes", "flash_bytes"),
    ("of it the model's constants", "weight_bytes"),
    ("RAM without stack, bytes", "ram_bytes"),
    ("of it the arena", "arena_bytes"),
    ("used of the arena", "arena_used"),
    ("stack used, bytes", "stack_bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A property of each engine, in the order of ENGINES, and the second's share of the first's."""

    title: str
    values: tuple[str, ...]
    ratio: str
    part: bool = False  # of the row above


def numbers(results: JsonObject) -> JsonObject:
    """What is compared of one engine, from its parity, bench and size."""
    parity, bench, size = (results[name] for name in ("parity", "bench", "size"))
    told = ("model_sha256", "run_id", "kernels", "framework", "unit", "counts", "arena_used")
    return {
        **{key: bench[key] for key in (*told, "arena_bytes", "stack_bytes")},
        "start_counts": bench.get("start_counts"),
        **{key: parity[key] for key in ("cases", "equal")},
        **{key: size[key] for key in ("flash_bytes", "weight_bytes", "ram_bytes")},
    }


def rows(found: Mapping[str, JsonObject]) -> list[Row]:
    """The table of engine -> results; what nobody has measured is a dash."""
    own = [numbers(found[engine]) if engine in found else None for engine in ENGINES]
    unit = next((n["unit"] for n in own if n), "counts")
    equal = tuple(f"{n['equal']:,} of {n['cases']:,}" if n else "–" for n in own)
    table = [Row(title="cases equal, every byte", values=equal, ratio="")]
    for title, key in COUNTED:
        values = [n[key] if n else None for n in own]
        first, other = values
        table.append(
            Row(
                title=title.format(unit=unit),
                values=tuple("–" if value is None else f"{value:,}" for value in values),
                ratio=f"{other / first:.2f}" if first and other is not None else "",
                part=title.startswith(("of it", "used of")),
            )
        )
    return table


def engine_tables(content: JsonObject) -> Iterator[tuple[str, list[Row]]]:
    """(board, table) of each board that has run both engines in the same place."""
    for name, other in content["interpreted"].items():
        if not all(other[part] for part in ("parity", "bench", "size")):
            continue
        bench = other["bench"]
        same = ("board", "framework", "emulator")
        fitting = [
            (found_name != bench["board"], found_name, found)
            for found_name, found in content["boards"].items()
            if all(found[part] for part in ("parity", "bench", "size"))
            and all(found["bench"][key] == bench[key] for key in same)
        ]
        if fitting:
            _, found_name, found = min(fitting, key=lambda item: item[:2])
            yield f"{found_name} and {name}", rows({ENGINE: found, bench["engine"]: other})
