"""data.html: what the data checks found, with plots, in one file that needs no other.

Names come from files that may be anybody's: the template escapes them, matplotlib escapes those in
its plots and does not read them as mathematics.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from model.checks.base import FAILED, WARNED, CheckResult
from model.datasets.base import Dataset, Recording
from model.features import Splits
from model.files import write_text
from model.page import environment
from model.recipe import Recipe
from model.text import printable

MAX_CLASSES, MAX_CHANNELS = 24, 12  # that are drawn
MAX_POINTS = 400  # of a line
MAX_HISTOGRAM = 1_000_000  # values that are counted, evenly spread
MAX_NAME = 20  # characters in a plot
COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#b91c1c")
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
            failed=states.count(FAILED),
            warned=states.count(WARNED),
            complete=splits is not None,
            plots=_plots(recipe, dataset, splits),
        ),
    )


def _plots(recipe: Recipe, dataset: Dataset, splits: Splits | None) -> list[tuple[str, Markup]]:
    """(caption, SVG) of each plot."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        drawn = [
            (
                "The first window of one recording of each class, over seconds.",
                _examples(recipe, dataset),
            ),
            (
                "Values of each channel, counted on a logarithmic axis; dashed: [checks]' limits.",
                _histograms(recipe, dataset),
            ),
        ]
        if splits is not None:
            drawn.insert(0, ("Windows of each class in each split.", _balance(dataset, splits)))
        return drawn


def _short(name: str) -> str:
    plain = printable(name)
    return plain if len(plain) <= MAX_NAME else plain[: MAX_NAME - 1] + "…"


def _balance(dataset: Dataset, splits: Splits) -> Markup:
    names = dataset.labels[:MAX_CLASSES]
    figure, (axes,) = _figure(1, 1, 6.0, 0.6 + 0.3 * len(names))
    for k, (split, windows) in enumerate(splits.items()):
        counts = np.bincount(windows.y, minlength=len(dataset.labels))[: len(names)]
        axes.barh(
            np.arange(len(names)) + 0.27 * (k - 1), counts, 0.25, color=COLOURS[k], label=split
        )
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.invert_yaxis()
    axes.legend(frameon=False)
    return _svg(figure)


def _examples(recipe: Recipe, dataset: Dataset) -> Markup:
    first: dict[int, Recording] = {}
    for recording in dataset.recordings:
        first.setdefault(recording.label, recording)
    chosen = sorted(first)[:MAX_CLASSES]
    figure, grid = _figure(-(-len(chosen) // 4), min(4, len(chosen)), 9.0, 0.0)
    for axes, label in zip(grid, chosen, strict=False):
        values = first[label].values[: recipe.features.window]
        step = max(1, len(values) // MAX_POINTS)
        times = np.arange(0, len(values), step) / dataset.sample_rate_hz
        for c, name in enumerate(dataset.channels[:MAX_CHANNELS]):
            colour = COLOURS[c % len(COLOURS)]
            axes.plot(times, values[::step, c], color=colour, linewidth=0.8, label=_short(name))
        axes.set_title(_short(dataset.labels[label]))
    if len(dataset.channels) > 1:
        handles, names = grid[0].get_legend_handles_labels()
        figure.legend(handles, names, frameon=False, ncols=6, loc="lower center")
    return _svg(figure)


def _histograms(recipe: Recipe, dataset: Dataset) -> Markup:
    everything = np.concatenate([r.values for r in dataset.recordings])
    everything = everything[:: 1 + len(everything) // MAX_HISTOGRAM]
    names = dataset.channels[:MAX_CHANNELS]
    config = recipe.checks
    figure, grid = _figure(-(-len(names) // 4), min(4, len(names)), 9.0, 0.0)
    for c, (axes, name) in enumerate(zip(grid, names, strict=False)):
        column = everything[np.isfinite(everything[:, c]), c]
        axes.stairs(*np.histogram(column, 60), fill=True, color=COLOURS[0])
        axes.set_yscale("log", nonpositive="clip")
        axes.set_yticks([], [])
        axes.set_yticks([], [], minor=True)
        unit = ""
        if dataset.channels == config.channels:
            unit = f" in {_short(config.units[c])}"
            for limit in (config.minimum[c], config.maximum[c]):
                axes.axvline(limit, color=COLOURS[7], linewidth=0.8, linestyle="--")
        axes.set_title(_short(name) + unit)
    return _svg(figure)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    height = height or 0.5 + 1.6 * rows
    figure = Figure(figsize=(width, height))
    edges = {"left": 0.9 / width, "right": 0.99, "bottom": 0.5 / height, "top": 1 - 0.2 / height}
    figure.subplots_adjust(**edges, wspace=0.25, hspace=0.5)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _svg(figure: Any) -> Markup:
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
    return Markup(text)
