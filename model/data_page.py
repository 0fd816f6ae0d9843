"""data.html: what the data checks found, with plots, in one file that needs no other.

Names come from files that may be anybody's: the template escapes them, matplotlib escapes those in
its plots and does not read them as mathematics.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from model.checks.base import ERROR, WARNING, CheckResult
from model.datasets.base import Dataset, Recording
from model.features import Splits
from model.files import write_text
from model.page import environment
from model.recipe import Recipe
from model.text import counted, printable

MAX_CLASSES, MAX_CHANNELS = 24, 12  # that are drawn
MAX_POINTS = 400  # of a line
MAX_HISTOGRAM = 1_000_000  # values that are counted, evenly spread
MAX_NAME = 20  # characters in a plot
HEAD, LEGEND = 0.3, 0.6  # inches above the first row of panels, without and with a legend
COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#b91c1c")
_KINDS = {  # task -> what examples are of, and what is counted
    "classification": ("class", "Windows of each class in each split."),
    "anomaly": ("class", "Windows of each class in each split."),
    "multilabel": ("label", "Windows in which each label holds, in each split."),
    "regression": ("target's ends", "Values of each target in the windows of each split."),
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "data",
    "text.parse_math": False,
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "xtick.color": "#999999",
    "xtick.labelcolor": "black",  # text: the page's own colour
    "ytick.color": "#999999",
    "ytick.labelcolor": "black",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An SVG element and its natural width in CSS pixels."""

    svg: Markup
    width: int


def write_page(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits | None,
    results: Sequence[CheckResult],
) -> None:
    """Write the page; `splits` is None when the schema failed and no other check ran."""
    states = [result.state for result in results]
    write_text(
        path,
        environment()
        .get_template("data.html.jinja")
        .render(
            recipe=recipe,
            dataset=dataset,
            results=results,
            errors=states.count(ERROR),
            found=[counted(states.count(state), state) for state in (ERROR, WARNING)],
            complete=splits is not None,
            drawings=_plots(recipe, dataset, splits),
        ),
    )


def _plots(recipe: Recipe, dataset: Dataset, splits: Splits | None) -> list[tuple[str, Drawing]]:
    """Each plot behind its caption."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        drawn = [
            (
                f"The first window of one recording of each {_KINDS[recipe.task][0]}, in seconds.",
                _examples(recipe, dataset),
            ),
            (
                "Values of each channel, counted on a logarithmic axis; dashed: [checks]' limits.",
                _histograms(recipe, dataset),
            ),
        ]
        if splits is not None:
            shown = _targets if recipe.task == "regression" else _balance
            drawn.insert(0, (_KINDS[recipe.task][1], shown(dataset, splits)))
        return drawn


def _short(name: str) -> str:
    plain = printable(name)
    return plain if len(plain) <= MAX_NAME else plain[: MAX_NAME - 1] + "…"


def _balance(dataset: Dataset, splits: Splits) -> Drawing:
    """A bar for each class and split, with its number of windows and the split's name beside it."""
    names = dataset.labels[:MAX_CLASSES]
    figure, (axes,) = _figure(1, 1, 5.2, HEAD + 0.2 + 0.45 * len(names))
    shown = [_short(name) for name in names]
    figure.subplots_adjust(left=(0.2 + 0.075 * max(map(len, shown))) / 5.2)
    for k, (split, windows) in enumerate(splits.items()):
        several = windows.targets
        counts = np.bincount(windows.y, minlength=len(dataset.labels))[: len(names)]
        counts = counts if several is None else several.sum(axis=0)[: len(names)]
        bars = axes.barh(np.arange(len(names)) + 0.29 * (k - 1), counts, 0.25, color=COLOURS[k])
        axes.bar_label(bars, [f"{split} {count:,.0f}" for count in counts], padding=3, fontsize=7.5)
    axes.set_yticks(range(len(names)), shown)
    axes.set_xlim(0, 1.3 * max(axes.dataLim.x1, 1))
    axes.invert_yaxis()
    return _drawing(figure)


def _targets(dataset: Dataset, splits: Splits) -> Drawing:
    """How the values of each target are spread in each split."""
    names = dataset.labels[:MAX_CLASSES]
    figure, grid = _panels(len(names), LEGEND)
    for i, (axes, name) in enumerate(zip(grid, names, strict=False)):
        for k, (split, windows) in enumerate(splits.items()):
            values = windows.truth[:, i] if len(windows.y) else np.zeros(0)
            counts, edges = np.histogram(values[np.isfinite(values)], 30)
            axes.stairs(counts / max(counts.sum(), 1), edges, color=COLOURS[k], label=split)
        axes.set_title(_short(name))
        axes.set_yticks([], [])
    _legend(figure, grid[0])
    return _drawing(figure)


def _first(dataset: Dataset) -> dict[str, Recording]:
    """Title -> recording: the first of each class or label, or the least and most of a target."""
    found: dict[str, Recording] = {}
    if dataset.recordings[0].targets is None:
        for recording in sorted(dataset.recordings, key=lambda r: r.label):
            found.setdefault(dataset.labels[recording.label], recording)
        return found
    for i, label in enumerate(dataset.labels):
        values = [0.0 if r.targets is None else float(r.targets[0, i]) for r in dataset.recordings]
        ends = {value: values.index(value) for value in (min(values), max(values))}
        for value, index in ends.items():
            if set(ends) != {0.0, 1.0}:
                found[f"{label} {value:.3g}"] = dataset.recordings[index]
            elif value:
                found[label] = dataset.recordings[index]
    return found


def _examples(recipe: Recipe, dataset: Dataset) -> Drawing:
    first = _first(dataset)
    chosen = list(first)[:MAX_CLASSES]
    figure, grid = _panels(len(chosen), LEGEND if len(dataset.channels) > 1 else HEAD)
    for axes, label in zip(grid, chosen, strict=False):
        values = first[label].values[: recipe.features.window]
        step = max(1, len(values) // MAX_POINTS)
        times = np.arange(0, len(values), step) / dataset.sample_rate_hz
        for c, name in enumerate(_channels(dataset)):
            colour = COLOURS[c % len(COLOURS)]
            axes.plot(times, values[::step, c], color=colour, linewidth=0.8, label=_short(name))
        axes.set_title(_short(label))
    if len(dataset.channels) > 1:
        _legend(figure, grid[0])
    return _drawing(figure)


def _channels(dataset: Dataset) -> tuple[str, ...]:
    """Those that are drawn; recordings of another width may not have all."""
    width = min(recording.values.shape[1] for recording in dataset.recordings)
    return dataset.channels[: min(width, MAX_CHANNELS)]


def _histograms(recipe: Recipe, dataset: Dataset) -> Drawing:
    everything = _some_samples(dataset)
    names = _channels(dataset)
    config = recipe.checks
    figure, grid = _panels(len(names))
    for c, (axes, name) in enumerate(zip(grid, names, strict=False)):
        column = everything[np.isfinite(everything[:, c]), c]
        axes.stairs(*np.histogram(column, 60), fill=True, color=COLOURS[0])
        axes.set_yscale("log", nonpositive="clip")
        axes.set_yticks([], [])
        axes.set_yticks([], [], minor=True)
        for limit in (config.minimum[c], config.maximum[c]):
            axes.axvline(limit, color=COLOURS[7], linewidth=0.8, linestyle="--")
        axes.set_title(f"{_short(name)} in {_short(dataset.units[c])}")
    return _drawing(figure)


def _some_samples(dataset: Dataset) -> npt.NDArray[np.float32]:
    """[samples, channels] at even distances through all recordings, MAX_HISTOGRAM at most."""
    lengths = [len(r.values) for r in dataset.recordings]
    step, first, found = 1 + sum(lengths) // MAX_HISTOGRAM, 0, []
    for recording, length in zip(dataset.recordings, lengths, strict=True):
        found.append(recording.values[first::step])
        first = (first - length) % step
    return np.concatenate(found)


def _panels(count: int, head: float = HEAD) -> tuple[Any, list[Any]]:
    """A figure of that many panels, four or fewer beside each other."""
    columns = min(count, 4)
    rows = -(-count // columns)
    width = (4.6, 6.4, 8.0, 9.0)[columns - 1]
    return _figure(rows, columns, width, head + 0.3 + 1.6 * rows, head)


def _figure(
    rows: int, columns: int, width: float, height: float, head: float = HEAD
) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    edges = {"left": 0.9 / width, "right": 0.99, "bottom": 0.3 / height, "top": 1 - head / height}
    figure.subplots_adjust(**edges, wspace=0.25, hspace=0.5)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _legend(figure: Any, axes: Any) -> None:
    """What the colours of all panels mean, in the figure's head, at the left."""
    handles, names = axes.get_legend_handles_labels()
    columns = {"ncols": 6, "columnspacing": 1.0, "handlelength": 1.4}
    figure.legend(handles, names, frameon=False, loc="upper left", **columns)


def _drawing(figure: Any) -> Drawing:
    """The figure as an element of a page, without a prolog; axes without a plot are left out."""
    for axes in figure.axes:
        if not axes.has_data():
            axes.remove()
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the reader's browser has other fonts
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
    text = stream.getvalue()
    text = re.sub(
        r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.S
    )
    return Drawing(svg=Markup(text), width=round(96 * figure.get_figwidth()))
