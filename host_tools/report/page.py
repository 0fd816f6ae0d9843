"""Turn what host_tools.report.collect collected into one HTML page that needs no other file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment

from host_tools.boards.board import ENGINES
from host_tools.report import plots
from host_tools.report.chips import counts_of_others, image_told, on_board
from host_tools.report.classical import sentences
from host_tools.report.collect import (
    MAIN_BOARD,
    float_comparisons,
    make_variable,
    most_compared,
    runs_on,
)
from host_tools.report.engines import TITLES, engine_tables
from host_tools.report.libraries import library_rows
from host_tools.report.plots import ACCENT, MUTED, SECOND, Bar, Panel, Plot
from host_tools.report.scores import (
    int8_metrics,
    label_table,
    score_rows,
    score_table,
    target_table,
    width_table,
)
from host_tools.report.text import format_bytes, format_count, format_percent
from host_tools.report.tiles import tiles
from host_tools.wording import as_typed
from model.evaluate import headline
from model.page import STYLE, environment
from model.text import counted

JsonObject = dict[str, Any]

TEMPLATES = Path(__file__).parent / "templates"
MAX_CLASSES = 20  # a larger confusion matrix is told as its most frequent mistakes
MISTAKES = 12
FLIPS = 20  # windows that are listed


def render(content: JsonObject) -> str:
    """The page. Everything that is text is escaped; only our own plots are markup."""
    page = (
        templates_of_pages()
        .get_template("report.html.jinja")
        .render(
            **content,
            title=page_title(content),
            labels=_labels(content),
            tiles=[tuple(map(as_typed, tile)) for tile in tiles(content)],
            on_board=on_board(content) if content["manifest"] else [],
            missing=[as_typed(line) for line in missing_parts(content)],
            score_table=score_table(content),
            target_table=target_table(content),
            label_table=label_table(content),
            widths=width_table(content),
            confusions=_confusions(content),
            anomaly_table=_anomaly_table(content),
            classical_exporters=sentences(content["classical"]) if content["classical"] else [],
            floats=float_comparisons(content["boards"]),
            flips=_flips(content),
            memory=[_memory(name, b) for name, b in content["boards"].items() if b["size"]],
            library_table=library_rows(content),
            layer_table=_layer_table(content),
            settings=list(_flatten("", (content["manifest"] or {}).get("settings", {}))),
            plots=_plots(content),
            runs_on=runs_on,
            image_told=image_told,
            engines=list(engine_tables(content)),
            engine_titles=[TITLES[engine] for engine in ENGINES],
            other_kernels=list(counts_of_others(content["boards"])),
            main_board=MAIN_BOARD,
        )
    )
    return with_contents(page)


def templates_of_pages() -> Environment:
    """The report's templates, with what they format numbers by."""
    templates = environment(TEMPLATES)
    templates.filters["bytes"] = format_bytes
    templates.filters["percent"] = format_percent
    templates.filters["count"] = format_count
    templates.filters["counted"] = counted
    templates.filters["typed"] = as_typed
    templates.filters["headline"] = headline
    templates.filters["code"] = code_parts
    templates.filters["network"] = network_text
    return templates


def search_page(found: JsonObject) -> str:
    """The report's section on one search as a page of its own."""
    template = templates_of_pages().get_template("search_page.html.jinja")
    return template.render(searches=[found], plots=dict(_search_plots([found])))


def with_contents(page: str) -> str:
    """Number the page's sections and list them, as links, where it has <nav></nav>."""
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    links = [f'<a href="#s{i}">{title}</a>' for i, title in enumerate(titles)]
    numbers = itertools.count()
    page = re.sub(r"<h2>", lambda _: f'<h2 id="s{next(numbers)}">', page)
    return page.replace("<nav></nav>", f"<nav>{''.join(links)}</nav>", 1)


def plot_files(content: JsonObject) -> dict[str, str]:
    """The page's plots as SVG files by name, with the colours of the page's light theme."""
    root = re.search(r":root\s*\{[^}]*\}", STYLE.read_text("utf-8"))
    style = f"<style>{root[0] if root else ''}</style>"
    files = {}
    for name, plot in _plots(content).items():
        opening, rest = str(plot.svg).split(">", 1)
        attributes = f"xmlns='http://www.w3.org/2000/svg' width='{plot.width}'"
        files[name] = f"{opening.replace('<svg', f'<svg {attributes}', 1)}>{style}{rest}"
    return files


def code_parts(text: str) -> list[tuple[bool, str]]:
    """Split at backquotes: (is code, text) pairs."""
    return [(i % 2 == 1, part) for i, part in enumerate(text.split("`")) if part]


def page_title(content: JsonObject) -> str:
    """The recipe's title, or the name of the model."""
    return str((content["dataset"] or {}).get("title") or content["name"])


def _labels(content: JsonObject) -> list[str]:
    manifest, dataset = content["manifest"] or {}, content["dataset"] or {}
    return [str(label) for label in manifest.get("labels") or dataset.get("labels") or []]


def missing_parts(content: JsonObject) -> Iterator[str]:
    """A sentence for every part that this report has no results of, with what to type for it."""
    which = make_variable(content)
    elsewhere = content["manifest"] is not None and not content["manifest"]["settings"]
    if elsewhere and not content["dataset"]:
        yield "The model was made elsewhere: no data, training or quantisation to report."
        compared = most_compared(content)
        if compared is None:
            yield (
                "It is not compared with the float network that it was made from: "
                f"`make parity {which} FLOAT=<.tflite, .keras or .h5>`"
            )
        elif not compared["bounds"]:
            yield "It is compared on random inputs: INPUTS=<.npz> gives real ones."
    else:
        for part, text, target in (
            ("dataset", "The data have not been checked", "check"),
            ("train", "No training is recorded", "train"),
            ("quantize", "No quantisation is recorded", "quantise"),
        ):
            if part == "train" and content.get("unquantised"):
                text, target = "What is reported is older than the last training", "quantise"
            if not content[part]:
                yield f"{text}: `make {target} RECIPE={content['name']}`"
    if content["train"]:
        yield from _optional(content, which)
    if not content["manifest"]:
        yield f"No C code has been generated yet: `make emit {which}`"
    if not content["boards"]:
        yield f"No board has been built or run yet: `make parity {which} BOARD=nano33`"
    for name, board in content["boards"].items():
        for part, text, target in (
            ("size", "sizes", "build"),
            ("parity", "parity", "parity"),
            ("bench", "layer counts", "bench"),
        ):
            if not board[part]:
                yield f"{name}: without {text}: `make {target} {which} BOARD={name}`"


def _optional(content: JsonObject, which: str) -> Iterator[str]:
    """What a recipe's run need not have, but may want."""
    old = content["left_out"]
    of_another = " of these settings" if "cross_validation" in old else ""
    if not content["cross_validation"]:
        yield f"Cross-validation{of_another} has not been run: `make train {which} CV=5`"
    classes = content["manifest"] is None or (
        content["manifest"]["settings"].get("task", "classification") == "classification"
    )
    if not content["classical"] and classes:
        yield f"No smaller kind of model has been tried: `make classical {which}`"
    if not content["drift"]:
        of_another = " for this model" if "drift" in old else ""
        yield f"Drift has not been looked for{of_another}: `make drift {which} BOARD={MAIN_BOARD}`"


def _confusions(content: JsonObject) -> list[JsonObject]:
    """Float beside int8: the int8 of a device that ran every test case, else the chosen model's."""
    labels = _labels(content)
    chosen: list[tuple[str, JsonObject]] = []
    if content["train"]:
        chosen.append(("float", content["train"]["metrics"]["test"]))
    if device := int8_metrics(content):
        chosen.append(device)
    return [
        {
            "title": title,
            "matrix": metrics["confusion"] if len(labels) <= MAX_CLASSES else None,
            "mistakes": _mistakes(metrics["confusion"], labels),
        }
        for title, metrics in chosen
        if len(labels) == len(metrics.get("confusion", ()))
    ]


def _anomaly_table(content: JsonObject) -> JsonObject | None:
    """How often each label gives an alarm: the network on a device or int8, float, baselines."""
    found, int8 = content["anomaly"], int8_metrics(content)
    if found is None or int8 is None or content["train"] is None or content["dataset"] is None:
        return None
    counts = content["dataset"]["splits"]["test"]["per_class"]
    detectors = [int8, ("float", content["train"]["metrics"]["test"])]
    detectors += sorted(content["train"]["baselines"].items(), key=lambda item: -item[1]["auc"])
    judge = found["judge"]
    normal = judge["labels"][judge["normal"]]
    return {
        "detectors": detectors,
        "int8": int8[1],
        "quantile": content["manifest"]["settings"]["anomaly"]["quantile"]
        if content["manifest"]
        else None,
        "labels": [
            {
                "name": label,
                "windows": counts[index],
                "auc": int8[1]["auc_by_label"].get(label),
                "alarms": [
                    m["false_alarm_rate"] if label == normal else m["detection"][label]
                    for _, m in detectors
                ],
            }
            for index, label in enumerate(judge["labels"])
            if counts[index]
        ],
    }


def _flips(content: JsonObject) -> JsonObject | None:
    """The first windows that a board decides otherwise than the float network."""
    found = most_compared(content)
    if found is None or not found["flips"]:
        return None
    return {
        "rows": found["flips"][:FLIPS],
        "total": found["cases"] - found["equal_decisions"],
        "cases": found["cases"],
    }


def _mistakes(confusion: list[list[int]], labels: list[str]) -> list[tuple[str, str, int]]:
    pairs = [
        (labels[t], labels[p], n)
        for t, row in enumerate(confusion)
        for p, n in enumerate(row)
        if n and t != p
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:MISTAKES]


def _memory(name: str, board: JsonObject) -> JsonObject:
    """One board's flash and RAM: parts that add up, and the budget."""
    size, bench, budget = board["size"], board["bench"], board["budget"]
    variables = size["ram_bytes"] - size["arena_bytes"]
    parts = {
        "flash": [
            ("code", size["code_bytes"]),
            ("weights", size["weight_bytes"]),
            ("golden cases", size["golden_bytes"]),
        ],
        "RAM": [
            ("arena", size["arena_bytes"]),
            ("other variables", variables),
            ("stack reserved", size["stack_bytes"]),
        ],
    }
    bars = []
    for kind, pieces in parts.items():
        used, limit = sum(n for _, n in pieces), budget[kind.lower()]
        scale = max(limit or used, used, 1)
        bars.append(
            {
                "kind": kind,
                "used": used,
                "budget": limit,
                "share": used / limit if limit else None,
                "parts": [(text, n, n / scale) for text, n in pieces],
            }
        )
    return {"name": name, "bars": bars, "size": size, "bench": bench, "budget": budget}


def _layer_table(content: JsonObject) -> JsonObject | None:
    """Counts of every step, one column a board; boards whose steps differ are left out."""
    benches = [
        (name, board["bench"])
        for name, board in content["boards"].items()
        if board["bench"] and board["bench"]["per_layer"]
    ]
    if not benches:
        return None
    steps = benches[0][1]["per_layer"]
    operators = [layer["operator"] for layer in steps]
    benches = [b for b in benches if [s["operator"] for s in b[1]["per_layer"]] == operators]
    return {
        "names": [f"{layer['operator']} {layer['op']}" for layer in steps],
        "macs": [layer["macs"] for layer in steps],
        "boards": [
            {
                "name": name,
                "unit": bench["unit"],
                "total": bench["counts"],
                "counts": [layer["counts"] for layer in bench["per_layer"]],
            }
            for name, bench in benches
        ],
    }


def network_text(candidate: JsonObject) -> str:
    """A search's network in a few words: filters x kernel / stride of each layer."""
    network, compression = candidate["settings"]["network"], candidate["settings"]["compression"]
    options = network.get(network["kind"]) or {}
    text = ", ".join(f"{_listed(value)} {key}" for key, value in options.items() if value != [])
    if network["kind"] in ("cnn1d", "dscnn") and options.get("kernels") and options.get("strides"):
        layers = zip(options["filters"], options["kernels"], options["strides"], strict=True)
        segments = options["segments"]
        parts = f"{segments} segment{'s' if segments != 1 else ''}"
        stack = " ".join(f"{f}×{k}/{s}" for f, k, s in layers)
        text = f"pool {options['input_pool']}, {stack}, {parts}"
    kind = "" if network["kind"] == "cnn1d" else f"{network['kind']}{', ' if text else ''}"
    few = compression or {"sparsity": 0, "clusters": 0}
    extra = f", {few['sparsity']:.0%} zeros" if few["sparsity"] else ""
    extra += f", {few['clusters']} values" if few["clusters"] else ""
    extra += "".join(
        f", {key} {value:g}" for key, value in candidate["settings"].get("vary", {}).items()
    )
    return f"{kind}{text}{extra}"


def _listed(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _plots(content: JsonObject) -> dict[str, Plot]:
    """What can be drawn of this run."""
    drawn: dict[str, Plot] = {}
    measure = (score_table(content) or {"measure": ""})["measure"]
    bars = [
        Bar(
            name=row["name"] + (" (chosen)" if row["note"] == "chosen" else ""),
            share=headline(row["test"]).value,
            text=headline(row["test"]).text,
            colour=MUTED
            if row["kind"] == "baseline"
            else SECOND
            if row["name"] == "float"
            else ACCENT,
        )
        for row in score_rows(content)
        if row["test"]
    ]
    if bars:
        drawn["scores"] = plots.scores(measure, bars)
    labels, int8 = _labels(content), int8_metrics(content)
    if content["train"] and labels:
        word, first = _of_labels(content["train"]["metrics"]["test"], labels)
        if len(first) == len(labels):
            second = _of_labels(int8[1], labels)[1] if int8 else None
            drawn["recall"] = plots.recall(word, labels, first, second)
        history = content["train"]["history"]
        if history["step"]:
            drawn["training"] = plots.training(
                measure, history["step"], history["loss"], history["val_score"]
            )
    if found := content["anomaly"]:
        drawn["anomaly"] = plots.anomaly(found)
    if found := content["regression"]:
        drawn["targets"] = plots.targets(found)
    if compared := most_compared(content):
        drawn["floats"] = plots.floats(compared)
    if table := _layer_table(content):
        panels = [
            Panel(
                title=board["name"],
                unit=f"{plots.compact(board['total'])} {board['unit']}",
                counts=tuple(board["counts"]),
            )
            for board in table["boards"]
        ]
        drawn["layers"] = plots.layers(table["names"], panels)
    drawn.update(_search_plots(content["searches"]))
    manifest = content["manifest"]
    if manifest and manifest["arena"]:
        drawn["arena"] = _arena_plot(manifest)
    return drawn


def _search_plots(searches: list[JsonObject]) -> Iterator[tuple[str, Plot]]:
    for search in searches:
        if any(trial["val"] is not None for trial in search["trials"]):
            yield f"search {search['board']}", plots.search(search)


def _of_labels(metrics: JsonObject, labels: list[str]) -> tuple[str, list[float]]:
    """(what it is, the numbers) of what is drawn for each class or label; none of numbers."""
    if "f1" in metrics:
        return "F1 of each label", [metrics["f1"][label] for label in labels]
    return "Recall per class", list(metrics.get("recall", ()))


def _arena_plot(manifest: JsonObject) -> Plot:
    makers = {op["output"]["tensor"]: op["op"] for op in manifest["operators"]}
    plan = [
        a | {"label": next((makers[t] for t in a["tensors"] if t in makers), "input")}
        for a in manifest["arena"]
    ]
    steps = [f"{op['index']} {op['op']}" for op in manifest["operators"]]
    return plots.arena(steps, plan, manifest["arena_lower_bound"])


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Nested settings as ('section.key', 'value') pairs."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list):
        yield prefix, ", ".join(str(item) for item in value)
    else:
        yield prefix, str(value)
