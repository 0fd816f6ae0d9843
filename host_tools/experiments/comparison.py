"""Two recorded experiments side by side, as a page that needs no other file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from host_tools.errors import UsageError
from host_tools.experiments.listing import NO_VALUE, differences, title_of
from host_tools.gate.baseline import Baseline, Limits
from host_tools.gate.compare import R2, SCORES, Row, change_text, compare, value_text
from host_tools.gate.figures import figures_of
from host_tools.report.collect import collect
from host_tools.report.page import templates_of_pages, with_contents
from host_tools.report.results import right_shape
from host_tools.report.scores import score_rows
from model import store
from model.evaluate import headline
from model.processes import scratch_folder
from model.store import Experiment

JsonObject = dict[str, Any]

STRICT = Limits(max_growth=0, max_drop=0)  # every step for the worse is shown as one
IDENTITY = {"code": "code", "version": "tinyproof", "data_sha256": "data, SHA-256",
            "model_sha256": "model, SHA-256", "firmware_run_id": "run ids of the firmware",
            "chosen": "quantisation chosen"}  # fmt: skip
NO_SETTINGS = set(IDENTITY)  # of the tags that differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An operator of one network, of the other, or of both where they are the same in kind."""

    names: tuple[str, str]
    outputs: tuple[str, str]
    macs: tuple[int | None, int | None]
    constants: tuple[int | None, int | None]
    counts: tuple[int | None, int | None]

    @property
    def change(self) -> str:
        """How the counts changed."""
        a, b = self.counts
        if a is None or b is None:
            return "gone" if b is None and a is not None else "new" if a is None and b else ""
        return "=" if a == b else f"{b / a - 1:+.1%}" if a else f"{b:+,}"


def comparison_page(first: Experiment, second: Experiment) -> str:
    """Numbers, layers, sizes and what changed in the settings. Raises StoreError, and UsageError
    for the same experiment twice; of an experiment without results only settings are told."""
    if first.id == second.id:
        raise UsageError(f"{title_of(first)}: the same experiment twice; `make runs` lists them")
    contents = [_content(experiment) for experiment in (first, second)]
    with right_shape(f"{title_of(first)} or {title_of(second)}"):
        return _page(first, second, contents)


def _page(first: Experiment, second: Experiment, contents: Sequence[JsonObject | None]) -> str:
    told = differences(first, second)
    tags = {*first.tags, *second.tags} - NO_SETTINGS
    settings = {*first.settings, *second.settings}
    page = (
        templates_of_pages()
        .get_template("compare.html.jinja")
        .render(
            titles=[title_of(e) for e in (first, second)],
            names=[e.name for e in (first, second)],
            identity=[
                (words, *(e.tags.get(tag, NO_VALUE).replace(",", ", ") for e in (first, second)))
                for tag, words in IDENTITY.items()
            ],
            missing=[title_of(e) for e, c in zip((first, second), contents, strict=True) if not c],
            settings=[row for row in told if row[0] in settings],
            versions=[row for row in told if row[0] in tags],
            numbers=[row for row in told if row[0] not in settings | tags | NO_SETTINGS],
            scores=list(_scores(contents)),
            **_places(contents),
            boards=list(_layers(contents)),
        )
    )
    return with_contents(page)


def _content(experiment: Experiment) -> JsonObject | None:
    """What a report of it is made of; None where it has no results."""
    with scratch_folder("compare") as place:
        folder = place / "results"
        folder.mkdir()
        store.results(experiment.id, folder)
        try:
            return collect(folder)
        except UsageError:
            return None


def _scores(contents: Sequence[JsonObject | None]) -> Iterator[JsonObject]:
    """Each model's score on the test split in both."""
    found = [
        {row["name"]: headline(row["test"]) for row in score_rows(content) if row["test"]}
        if content
        else {}
        for content in contents
    ]
    for name in dict.fromkeys([*found[0], *found[1]]):
        a, b = (scores.get(name) for scores in found)
        change = ""
        if a and b and a.name == b.name:
            step = b.value - a.value
            told = f"{step:+.4f}" if a.name == R2 else f"{step * 100:+.2f} points"
            change = told if step else "="
        either = a or b
        assert either is not None
        yield {
            "name": f"{name}, {either.name}",
            "texts": [score.text if score else NO_VALUE for score in (a, b)],
            "change": change,
            "state": _state(change, more_is_better=True),
        }


def _state(change: str, *, more_is_better: bool) -> str:
    if change[:1] not in ("+", "-"):
        return ""
    return "better" if (change[0] == "+") is more_is_better else "worse"


def _places(contents: Sequence[JsonObject | None]) -> JsonObject:
    """Every figure that a gate would hold, of both."""
    groups = [
        figures_of(content, [*content["boards"], *content["interpreted"]]) if content else {}
        for content in contents
    ]
    verdict = compare(Baseline(name="", groups=groups[0]), groups[1], STRICT)
    return {
        "figures": [_figure(row) for row in verdict.rows if row.measure not in SCORES],
        "apart": [*verdict.broken, *(n for n in verdict.notes if n.startswith("not in"))],
    }


def _figure(row: Row) -> JsonObject:
    state = "worse" if row.wrong in ("grew", "fell") else "better" if row.better else ""
    return {
        "place": row.place,
        "name": row.title,
        "texts": [value_text(row.measure, value, row.score) for value in (row.before, row.now)],
        "change": change_text(row),
        "state": state,
    }


def _layers(contents: Sequence[JsonObject | None]) -> Iterator[tuple[str, str, list[Layer]]]:
    """(board, unit, its layers) of each board that both have counted layer by layer."""
    first, second = contents
    if first is None or second is None:
        return
    for name in first["boards"]:
        a, b = ((c["boards"].get(name) or {}).get("bench") for c in (first, second))
        if not (a and b and first["manifest"] and second["manifest"]) or a["unit"] != b["unit"]:
            continue
        if a["unit"] != "nanoseconds":  # of this computer, at that moment
            sides = _side(first["manifest"], a), _side(second["manifest"], b)
            yield name, str(a["unit"]), list(_aligned(*sides))


def _side(manifest: JsonObject, bench: JsonObject) -> list[JsonObject]:
    """The operators of a network with what each has counted."""
    operators = {op["index"]: op for op in manifest["operators"]}
    found = []
    for layer in bench["per_layer"]:
        operator = operators.get(layer["operator"], {})
        shape = operator.get("output", {}).get("shape", ())
        found.append(
            {
                "op": layer["op"],
                "name": f"{layer['operator']} {layer['op']}",
                "output": " × ".join(map(str, shape)),
                "macs": layer["macs"],
                "constants": operator.get("constant_bytes"),
                "counts": layer["counts"],
            }
        )
    return found


def _aligned(first: list[JsonObject], second: list[JsonObject]) -> Iterator[Layer]:
    """Operators of one kind beside each other, in order, those of one shape before others; what
    has no like stands alone. The best alignment of the two sequences, by dynamic programming."""
    best = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]  # of what is behind i and j
    for i in reversed(range(len(first))):
        for j in reversed(range(len(second))):
            alike = _likeness(first[i], second[j])
            beside = best[i + 1][j + 1] + alike if alike else 0
            best[i][j] = max(beside, best[i + 1][j], best[i][j + 1])
    i = j = 0
    while i < len(first) and j < len(second):
        alike = _likeness(first[i], second[j])
        if alike and best[i][j] == best[i + 1][j + 1] + alike:
            yield _layer(first[i], second[j])
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            yield _layer(first[i], None)
            i += 1
        else:
            yield _layer(None, second[j])
            j += 1
    yield from (_layer(layer, None) for layer in first[i:])
    yield from (_layer(None, layer) for layer in second[j:])


def _likeness(a: JsonObject, b: JsonObject) -> int:
    """0 for operators of two kinds; more where the output or the work is the same."""
    if a["op"] != b["op"]:
        return 0
    return 2 + int(a["output"] == b["output"]) + int(a["macs"] == b["macs"])


def _layer(a: JsonObject | None, b: JsonObject | None) -> Layer:
    def both(key: str, missing: Any = None) -> tuple[Any, Any]:
        return tuple(missing if side is None else side[key] for side in (a, b))

    return Layer(
        names=both("name", ""),
        outputs=both("output", ""),
        macs=both("macs"),
        constants=both("constants"),
        counts=both("counts"),
    )
