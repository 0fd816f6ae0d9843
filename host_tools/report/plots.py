"""The report's plots as inline SVG: text stays text, and colours are variables of the page's CSS.

Every function returns a Plot. Names come from files that may be anybody's: they are cut to a
sensible length, never read as mathematics, and escaped by matplotlib.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from model.text import printable

# Stand-ins that to_svg replaces by CSS variables of the same names.
FG, MUTED, LINE, BACK = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
ACCENT, SECOND, OK, SOFT = "#0a0b05", "#0a0b06", "#0a0b07", "#0a0b08"
_VARIABLES = {
    FG: "fg",
    MUTED: "muted",
    LINE: "line",
    BACK: "back",
    ACCENT: "accent",
    SECOND: "second",
    OK: "ok",
    SOFT: "soft",
}
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.0,
    "text.color": FG,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.color": LINE,
    "ytick.labelcolor": FG,
    "ytick.major.size": 0.0,
    "axes.grid.axis": "x",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
}
MAX_NAME = 26  # characters of a label
MAX_ROWS = 24  # bars in a panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """An SVG element, what it shows in words, and its natural width in CSS pixels."""

    svg: Markup
    alt: str
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: a name, a share up to 1, and the colour that tells what it stands for."""

    name: str
    share: float
    text: str
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Counts per step of one board."""

    title: str
    unit: str
    counts: tuple[int, ...]


def short(name: str) -> str:
    """A label that fits: unprintable characters are escaped, long names are cut."""
    plain = printable(name)
    return plain if len(plain) <= MAX_NAME else plain[: MAX_NAME - 1] + "…"


def scores(measure: str, bars: Sequence[Bar]) -> Plot:
    """The score of models, devices and baselines, one bar each; below 0 there is none."""
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(4.8, 0.45 + 0.27 * len(bars))
        shares = [max(b.share, 0.0) for b in bars]
        axes.barh(range(len(bars)), shares, 0.62, color=[b.colour for b in bars])
        for row, bar in enumerate(bars):
            axes.text(shares[row] + 0.01, row, bar.text, va="center")
        _rows(axes, [short(b.name) for b in bars])
        _share_axis(axes, 0.25)
        kinds = [(SECOND, "float"), (ACCENT, "int8"), (MUTED, "baseline")]
        _keys(axes, [(c, f"■ {name}") for c, name in kinds if any(b.colour == c for b in bars)])
        if measure == "R2":
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value <= 1.001 else "")
        axes.set_xlim(0, 1.15)
        alt = f"{_upper(measure)}. " + "; ".join(f"{b.name} {b.text}" for b in bars)
        return _plot(figure, "scores", alt)


def recall(
    title: str, labels: Sequence[str], first: Sequence[float], second: Sequence[float] | None
) -> Plot:
    """A share per class: a ring for `first` (float), a dot for `second` (int8), joined by a line.

    Of many classes only those with the lowest share are drawn.
    """
    order = sorted(range(len(labels)), key=lambda i: (second or first)[i])[:MAX_ROWS]
    chosen = order if len(labels) > MAX_ROWS else range(len(labels))
    start = 0.0 if min([*first, *(second or first)]) < 0.55 else 0.5
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(4.8, 0.75 + 0.27 * len(chosen))
        axes.grid(True)
        axes.set_axisbelow(True)
        for row, i in enumerate(chosen):
            if second is not None:
                axes.plot([first[i], second[i]], [row, row], color=ACCENT, linewidth=2)
                axes.plot([second[i]], [row], "o", color=ACCENT, markersize=6.5)
            axes.plot([first[i]], [row], "o", mfc="none", mec=SECOND, mew=1.6, markersize=9)
            value = first[i] if second is None else second[i]
            axes.text(
                1.02 + 0.015 * (1 - start), row, f"{value * 100:.0f} %", va="center", clip_on=False
            )
        _rows(axes, [short(labels[i]) for i in chosen])
        _share_axis(axes, 0.2 if start == 0.0 else 0.1)
        axes.set_xlim(start, 1.02)
        _keys(axes, [(SECOND, "○ float"), *([(ACCENT, "● int8")] if second is not None else [])])
        listed = (f"{labels[i]} {(second or first)[i]:.0%}" for i in chosen)
        return _plot(figure, "recall", f"{title}. " + "; ".join(listed))


def layers(names: Sequence[str], panels: Sequence[Panel]) -> Plot:
    """What each step of an inference costs, one panel a board; the costliest steps if many."""
    order = sorted(range(len(names)), key=lambda i: -panels[0].counts[i])[:MAX_ROWS]
    chosen = sorted(order)
    with matplotlib.rc_context(_STYLE):
        figure, all_axes = _figure(
            1.9 + 1.75 * len(panels), 0.75 + 0.26 * len(chosen), columns=len(panels)
        )
        for axes, panel in zip(all_axes, panels, strict=True):
            counts = [panel.counts[i] for i in chosen]
            top = max([*counts, 1])
            axes.barh(range(len(chosen)), counts, 0.62, color=ACCENT)
            for row, count in enumerate(counts):
                axes.text(count + 0.03 * top, row, compact(count), va="center", color=MUTED)
            axes.set_xlim(0, 1.45 * top)
            axes.set_title(f"{short(panel.title)}\n{panel.unit}")
            axes.spines["bottom"].set_visible(False)
            axes.set_xticks([])
            _rows(axes, [short(names[i]) for i in chosen])
        listed = (
            f"{p.title}: costliest step {names[max(order, key=p.counts.__getitem__)]}"
            for p in panels
        )
        return _plot(figure, "layers", "Cost of each step per board. " + "; ".join(listed))


def arena(steps: Sequence[str], plan: Sequence[dict[str, Any]], lower_bound: int) -> Plot:
    """Which bytes of the arena (across) are in use at which operator (down).

    `steps` names the operators; `plan` holds the allocations of manifest.json with a "label" each.
    """
    size = max(a["offset"] + a["bytes"] for a in plan)
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(5.8, 0.85 + 0.25 * (len(steps) + 1))
        for a in plan:
            first, rows = a["first_step"] - 0.5, a["last_step"] - a["first_step"] + 1
            axes.add_patch(
                Rectangle(
                    (a["offset"], first),
                    a["bytes"],
                    rows,
                    facecolor=SOFT,
                    edgecolor=BACK,
                    linewidth=2,
                )
            )
            label = f"{a['label']}  {a['bytes']:,} B"
            if a["bytes"] / size * 52 > len(label):
                axes.text(
                    a["offset"] + a["bytes"] / 2, first + rows / 2, label, ha="center", va="center"
                )
        axes.axvline(lower_bound, color=OK, linewidth=1.4, linestyle=(0, (4, 3)))
        bound = "arena = lower bound" if lower_bound == size else "lower bound"
        axes.text(
            lower_bound, -0.75, f"{bound} {lower_bound:,} B", ha="right", va="bottom", color=OK
        )
        axes.set_xlim(0, size * 1.01)
        _rows(axes, [*(short(s) for s in steps), "output"])
        axes.set_xlabel("byte offset in the arena")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, steps=[1, 2, 4, 8, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        alt = f"Arena plan: {len(plan)} buffers in {size:,} bytes; lower bound {lower_bound:,}."
        return _plot(figure, "arena", alt)


def training(
    measure: str, steps: Sequence[int], loss: Sequence[float], score: Sequence[float]
) -> Plot:
    """Training loss and validation score after `steps` steps."""
    with matplotlib.rc_context(_STYLE):
        figure, (left, right) = _figure(6.2, 2.3, columns=2, shared=False)
        for axes, values, colour, title in (
            (left, loss, SECOND, "training loss"),
            (right, score, ACCENT, f"validation {measure}"),
        ):
            axes.plot(steps, values, color=colour, linewidth=1.6)
            axes.set_title(title, color=colour)
            axes.set_xlabel("step")
            axes.grid(True, axis="y")
            axes.tick_params(axis="y", labelcolor=MUTED)
        if measure != "R2":
            right.yaxis.set_major_formatter(lambda value, _: f"{value * 100:.0f} %")
        best = max(range(len(score)), key=score.__getitem__)
        text = f"{score[best]:.3f}" if measure == "R2" else f"{score[best] * 100:.1f} %"
        right.plot([steps[best]], [score[best]], "o", color=ACCENT, markersize=5)
        right.text(
            0.98,
            0.08,
            f"best {text}, step {steps[best]:,}",
            transform=right.transAxes,
            ha="right",
            color=ACCENT,
        )
        alt = (
            f"Training: loss from {loss[0]:.3f} to {loss[-1]:.3f} in {steps[-1]:,} steps; best "
            f"validation {measure} {text} after {steps[best]:,}."
        )
        return _plot(figure, "training", alt)


def search(found: dict[str, Any]) -> Plot:
    """Validation score over instructions and flash of a search's trained candidates."""
    trained = [t for t in found["trials"] if t["val"] is not None]
    front = [t for t in trained if t["trial"] in found["pareto"]]
    chosen = [found["best"]] if "best" in found else []
    with matplotlib.rc_context(_STYLE):
        figure, panels = _figure(6.6, 3.4, columns=2, shared=False)
        costs = {"instructions": "instructions an inference", "flash": "flash, bytes"}
        for axes, (cost, label) in zip(panels, costs.items(), strict=True):
            for candidates, marker, colour, name in (
                (trained, "o", SOFT, "candidate"),
                (front, "o", ACCENT, "none beats it in score, work and flash"),
                ([found["default"]], "s", MUTED, "the recipe, trained in full"),
                (chosen, "D", OK, "chosen, trained in full"),
            ):
                axes.plot(
                    [c["cost"][cost] for c in candidates],
                    [c["val"] for c in candidates],
                    marker,
                    color=colour,
                    label=name,
                    markersize=5,
                    linestyle="none",
                )
            steps = front_of(trained, cost)
            axes.step(*zip(*steps, strict=True), where="post", color=ACCENT, linewidth=1.2)
            if limit := found["budget"][cost]:
                axes.axvline(limit, color=LINE, linewidth=1.4, linestyle=(0, (4, 3)))
            axes.grid(True, axis="y")
            axes.tick_params(axis="y", labelcolor=MUTED)
            axes.set_xlabel(label)
            axes.xaxis.set_major_formatter(lambda value, _: compact(int(value)))
            axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
        panels[0].set_title(f"validation {found.get('measure', 'balanced accuracy')}")
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            frameon=False,
            labelcolor=FG,
            loc="outside lower center",
            ncols=2,
        )
        alt = f"Search: {len(trained)} trained candidates, {len(front)} that no other beats."
        return _plot(figure, "search", alt)


def front_of(trained: Sequence[dict[str, Any]], cost: str) -> list[tuple[int, float]]:
    """(cost, score) of each candidate that scores higher than all that cost less, rising."""
    steps: list[tuple[int, float]] = []
    for t in sorted(trained, key=lambda t: (t["cost"][cost], -t["val"])):
        if not steps or t["val"] > steps[-1][1]:
            steps.append((t["cost"][cost], t["val"]))
    return steps


def anomaly(found: dict[str, Any]) -> Plot:
    """Scores of normal windows and of anomalies with the threshold, and the ROC curve."""
    judge, histogram, roc = found["judge"], found["histogram"], found["roc"]
    step = judge["error"]["step"]
    edges = [edge * step for edge in histogram["edges"]]
    limit = judge["threshold"] * step
    with matplotlib.rc_context(_STYLE):
        figure, (left, right) = _figure(6.6, 2.6, columns=2, shared=False)
        for kind, colour in (("anomaly", SECOND), ("normal", ACCENT)):
            counts = histogram[kind]
            left.stairs(
                [n / max(sum(counts), 1) for n in counts], edges, fill=True, alpha=0.55,
                color=colour,
            )  # fmt: skip
        left.set_xscale("log")
        left.axvline(limit, color=FG, linewidth=1.2, linestyle=(0, (4, 3)))
        left.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        left.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        left.set_xlabel("score: mean squared error, input units")
        left.set_yticks([])
        _keys(left, [(ACCENT, "■ normal"), (SECOND, "■ anomaly")])
        right.plot([x for x, _ in roc], [y for _, y in roc], color=ACCENT, linewidth=1.8)
        right.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        right.set_title("detection by false alarms", color=MUTED)
        right.set_xlabel("false alarm rate")
        for axis in (right.xaxis, right.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value * 100:.0f} %")
        right.tick_params(axis="y", labelcolor=MUTED)
        above = {
            kind: sum(n for n, edge in zip(histogram[kind], edges, strict=False) if edge >= limit)
            for kind in ("normal", "anomaly")
        }
        alt = (
            f"Scores and ROC curve; threshold {limit:.3g}: {above['anomaly']:,} of "
            f"{sum(histogram['anomaly']):,} anomalies and {above['normal']:,} of "
            f"{sum(histogram['normal']):,} normal windows in bins above it."
        )
        return _plot(figure, "anomaly", alt)


def targets(found: dict[str, Any]) -> Plot:
    """What a regression tells over what is true, a panel a target."""
    judge, points = found["judge"], found["points"]
    with matplotlib.rc_context(_STYLE):
        figure, panels = _figure(
            1.2 + 3.0 * min(len(points), 3), 3.2, columns=min(len(points), 3), shared=False
        )
        told = []
        for axes, (target, unit) in zip(
            panels, zip(judge["targets"], judge["units"], strict=True), strict=False
        ):
            truth, told_values = points[target]["truth"], points[target]["told"]
            low, high = min([*truth, *told_values]), max([*truth, *told_values])
            axes.plot([low, high], [low, high], color=LINE, linewidth=1.2)
            axes.plot(
                truth, told_values, "o", color=ACCENT, markersize=3, alpha=0.6, linestyle="none"
            )
            axes.grid(True, axis="both")
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", labelcolor=MUTED)
            axes.set_title(f"{short(target)}, told, {short(unit)}", color=MUTED)
            axes.set_xlabel("true")
            told.append(f"{target} from {low:.3g} to {high:.3g} {unit}")
        alt = f"Told over true values of {len(truth):,} windows: {'; '.join(told)}."
        return _plot(figure, "targets", alt)


def floats(found: dict[str, Any]) -> Plot:
    """Outputs of a board over those of the float network; a cross where the decision differs."""
    points = found["points"]
    ends = [*points["floats"], *points["device"]]
    low, high = min(ends), max(ends)
    rest = [i for i, flipped in enumerate(points["flipped"]) if not flipped]
    flipped = [i for i, flipped in enumerate(points["flipped"]) if flipped]
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(4.8, 4.2)
        axes.plot([low, high], [low, high], color=LINE, linewidth=1.2)
        for chosen, marker, colour, size in ((rest, "o", ACCENT, 3), (flipped, "x", SECOND, 6)):
            axes.plot(
                [points["floats"][i] for i in chosen],
                [points["device"][i] for i in chosen],
                marker,
                color=colour,
                markersize=size,
                alpha=0.7,
                linestyle="none",
            )
        axes.grid(True, axis="both")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", labelcolor=MUTED)
        axes.set_xlabel("float network")
        axes.set_title("device", color=MUTED)
        if found["equal_decisions"] is not None:
            _keys(axes, [(ACCENT, "● same decision"), (SECOND, "× another")], first=50)
        alt = (
            f"Outputs of the device over those of the float network, {len(rest) + len(flipped):,} "
            f"elements from {low:.3g} to {high:.3g}; {len(flipped):,} of cases decided otherwise."
        )
        return _plot(figure, "floats", alt)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def compact(count: int) -> str:
    """1234 -> '1.23 k': three digits and a unit."""
    for limit, unit in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if count >= limit:
            return f"{count / limit:.3g}{unit}"
    return str(count)


def _figure(
    width: float, height: float, columns: int = 1, shared: bool = True
) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, sharey=shared)
    return figure, list(axes[0])


def _rows(axes: Any, names: Sequence[str]) -> None:
    """One row a name, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)


def _keys(axes: Any, keys: Sequence[tuple[str, str]], first: int = 0) -> None:
    """What colours stand for, in a row right above what is drawn, `first` points from its left."""
    for colour, text in keys:
        axes.annotate(
            text, (0, 1), (first, 5), "axes fraction", textcoords="offset points", color=colour
        )
        first += 6 * len(text) + 14


def _share_axis(axes: Any, step: float) -> None:
    axes.xaxis.set_major_locator(matplotlib.ticker.MultipleLocator(step))
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value * 100:.0f} %" if value <= 1.001 else ""
    )
    axes.spines["bottom"].set_visible(False)


def _plot(figure: Figure, name: str, alt: str) -> Plot:
    stream = io.StringIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": name}):
        warnings.filterwarnings("ignore", "Glyph")  # the reader's browser has other fonts
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator")))
    return Plot(
        svg=to_svg(stream.getvalue()),
        alt=alt,
        width=round(float(figure.get_figwidth()) * 96),
    )


def to_svg(text: str) -> Markup:
    """Matplotlib's file as an element for the page: no prolog, no size, colours from the CSS."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", r"<svg \1 aria-hidden='true'>", text)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"(font: [\d.]+px) [^;\"]*", r"\1 var(--font)", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return Markup(re.sub(r">\s+<", "><", text))
