"""The card of a model: Markdown behind the metadata that hubs of models read.

Every figure comes from a result file; what nobody has measured or said is listed as missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import yaml
from scipy.stats import binomtest

from host_tools.report import markdown
from host_tools.report.collect import STALE, collect, float_comparisons, runs_on
from host_tools.report.page import missing_parts, page_title
from host_tools.report.results import right_shape
from host_tools.report.scores import int8_metrics, score_table, target_table
from host_tools.report.text import format_count
from model import __version__
from model.evaluate import headline
from model.text import counted, printable

JsonObject = dict[str, Any]

FILE = "model-card.md"
UNKNOWN = "unknown"  # a hub's word for a licence that nobody has named
CONFIDENCE = 0.95
# A hub's name of the task, by ours; none fits an anomaly detector.
PIPELINES = {"classification": "tabular-classification", "regression": "tabular-regression",
             "multilabel": "tabular-classification"}  # fmt: skip
SOUND = "audio-classification"
METRIC_TYPES = {"balanced accuracy": "balanced_accuracy", "R2": "r_squared", "macro F1": "f1"}
SHOWN_LABELS = 50


class Raw(str):
    """Markdown that is ours; every other value of a template is escaped."""

    __slots__ = ()


def model_card(out_dir: Path, licence: str | None = None) -> str:
    """The card of what has been measured in `out_dir`; raises UsageError as the report does."""
    with right_shape(out_dir):
        return _render(collect(out_dir), licence)


def _render(content: JsonObject, licence: str | None) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown has rules of its own
        finalize=lambda v: v if isinstance(v, Raw) else markdown.escape(str(v)),
    )
    environment.filters["code"] = lambda value: Raw(markdown.code(str(value)))
    environment.filters["count"] = format_count
    environment.filters["counted"] = counted
    settings = (content["manifest"] or {}).get("settings") or {}
    boards = [(name, board) for name, board in content["boards"].items() if board["parity"]]
    body = environment.get_template("card.md.jinja").render(
        title=page_title(content),
        manifest=content["manifest"],
        dataset=content["dataset"],
        train=content["train"],
        quantize=content["quantize"],
        cross=content["cross_validation"],
        classical=content["classical"],
        drift=content["drift"],
        task=settings.get("task", "classification") if settings else None,
        settings=settings,
        licence=licence,
        scores=_scores(content),
        intervals=list(_intervals(content)),
        targets=target_table(content),
        floats=float_comparisons(content["boards"]),
        boards=[(name, board, runs_on(board["parity"])) for name, board in boards],
        stale=STALE,
        unseen=not any(board["parity"].get("port") for _, board in boards),
        missing=[line.replace("`", "") for line in missing_parts(content)],
        golden_sha256=content["golden_sha256"],
        version=__version__,
        headline=headline,
    )
    meta = yaml.safe_dump(
        metadata(content, licence), sort_keys=False, allow_unicode=True, width=10**6
    )
    return f"---\n{meta}---\n\n{body}"


def metadata(content: JsonObject, licence: str | None) -> JsonObject:
    """What a hub reads: licence, tags, task, and the scores on the test split."""
    settings = (content["manifest"] or {}).get("settings") or {}
    task = settings.get("task", "classification") if settings else None
    sound = (settings.get("features") or {}).get("kind") == "logmel"
    pipeline = PIPELINES.get(task or "")
    if sound and pipeline == PIPELINES["classification"]:
        pipeline = SOUND
    tags = ["tinyml", "microcontroller", "tflite", "int8", *([task] if task else [])]
    meta: JsonObject = {
        "license": licence or UNKNOWN,
        "library_name": "tinyproof",
        "tags": tags,
    }
    if pipeline:
        meta["pipeline_tag"] = pipeline
    found, dataset = int8_metrics(content), content["dataset"]
    if found is not None and dataset is not None:
        scores = [headline(found[1])]
        metrics = [
            {"type": METRIC_TYPES[score.name], "name": score.name, "value": round(score.value, 6)}
            for score in scores
        ]
        if "accuracy" in found[1]:
            accuracy = round(found[1]["accuracy"], 6)
            metrics.append({"type": "accuracy", "name": "accuracy", "value": accuracy})
        data = {
            "name": printable(str(dataset["title"])),
            "type": printable(str(dataset["source"])),
            "split": "test",
            "revision": dataset["sha256"],
        }
        result = {
            "task": {"type": pipeline or "other", "name": task},
            "dataset": data,
            "metrics": metrics,
        }
        name = printable(str(content["name"]))
        meta["metrics"] = [metric["type"] for metric in metrics]
        meta["model-index"] = [{"name": name, "results": [result]}]
    return meta


def _scores(content: JsonObject) -> Raw | None:
    """All scores on the test split as a table."""
    found = score_table(content)
    if found is None:
        return None
    titles = ["model", *found["columns"], f"validation, {found['measure']}", "note"]
    rows = [[row["name"], *row["cells"], row["validation"], row["note"]] for row in found["rows"]]
    cells = [[markdown.escape(str(cell)) for cell in row] for row in rows]
    numbers = range(1, len(titles) - 1)
    return Raw(markdown.table([markdown.escape(title) for title in titles], cells, numbers))


def _intervals(content: JsonObject) -> Iterator[tuple[str, int, int, str]]:
    """(what, right, of, interval) of shares that were counted: of all windows, then of classes."""
    found = int8_metrics(content)
    if found is None or "confusion" not in found[1]:
        return
    confusion = found[1]["confusion"]
    labels = (content["manifest"] or content["dataset"] or {}).get("labels") or []
    right, total = sum(row[i] for i, row in enumerate(confusion)), sum(map(sum, confusion))
    if total:
        yield "accuracy, all windows", right, total, interval(right, total)
    for i, row in enumerate(confusion[:SHOWN_LABELS]):
        if sum(row):
            name = f"recall of {labels[i]}" if i < len(labels) else f"recall of class {i}"
            yield name, row[i], sum(row), interval(row[i], sum(row))


def interval(right: int, total: int) -> str:
    """Wilson's interval of a share, as '94.1 % to 97.8 %'."""
    low, high = binomtest(right, total).proportion_ci(CONFIDENCE, method="wilson")
    return f"{low * 100:.1f} % to {high * 100:.1f} %"
