"""What the page has of a session, as CSV and PNG."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from host_tools.live.charts import by_unit, thinned
from host_tools.live.state import Prediction, Signal

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute
STYLES = ("-", "--", ":", "-.")
MAX_POINTS = 4000  # of a channel in a picture


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def predictions_csv(predictions: Sequence[Prediction], unit: str) -> str:
    """One line a prediction, with the score of every output."""
    names = [name for name, _ in predictions[0].reading.scores] if predictions else []
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    head = ["time_utc", "session_s", "sample", "prediction", "confidence", "decided", "recorded_as"]
    costs = [f"model_{unit}", f"front_end_{unit}", "answer_ms"]
    out.writerow([*head, *costs, *(cell(f"score {name}") for name in names)])
    for one in predictions:
        reading = one.reading
        when = datetime.fromtimestamp(one.time, timezone.utc).isoformat(timespec="milliseconds")
        share = "" if reading.confidence is None else f"{reading.confidence:.4f}"
        out.writerow(
            [
                *(when, f"{one.at_s:.3f}", one.sample, cell(reading.text), share),
                *(cell(reading.decided), cell(one.truth)),
                *(one.counts, one.feature_counts, f"{one.answer_ms:.2f}"),
                *(f"{value:.6g}" for _, value in reading.scores),
            ]
        )
    return text.getvalue()


def signal_csv(signal: Signal | None) -> str:
    """One line a sample, in the channels' units; `gap` is 1 where samples are missing before it."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    channels = signal.sensor.channels if signal else ()
    names = [cell(f"{channel.name} ({channel.unit})") for channel in channels]
    out.writerow(["sample", "seconds", "gap", *names])
    if signal is None:
        return text.getvalue()
    gaps = set(signal.gaps)
    for number, row in enumerate(signal.values(), signal.first):
        seconds = f"{number / signal.rate_hz:.6f}"
        out.writerow([number, seconds, int(number in gaps), *(f"{value:.9g}" for value in row)])
    return text.getvalue()


def plot_png(signal: Signal | None, predictions: Sequence[Prediction], title: str) -> bytes:
    """The signal and the predictions on it, in one picture."""
    data = io.BytesIO()
    plot(signal, predictions, title).savefig(data, format="png", dpi=110)
    return data.getvalue()


def plot(signal: Signal | None, predictions: Sequence[Prediction], title: str) -> Figure:
    """What plot_png draws."""
    groups = by_unit(signal.sensor) if signal else {}
    figure = Figure(figsize=(11, 2.4 * (len(groups) + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups) + 1, 1, sharex=True, squeeze=False)[:, 0]
    figure.suptitle(_plain(title))
    first, rate = (signal.first, signal.rate_hz) if signal else (0, 1.0)
    for axis, (unit, indices) in zip(axes, groups.items(), strict=False):
        assert signal is not None
        for order, index in enumerate(indices):
            at, values = thinned(signal, index, MAX_POINTS)
            style = STYLES[order % len(STYLES)]
            name = _plain(signal.sensor.channels[index].name)
            axis.plot(at / rate, values, style, linewidth=0.8, label=name)
        axis.set_ylabel(_plain(unit))
        _legend(axis)
    seen = [one for one in predictions if one.sample >= first]
    words = sorted({one.reading.text for one in seen})
    places = [words.index(one.reading.text) for one in seen]
    times = np.array([one.sample for one in seen]) / rate
    axes[-1].plot(times, places, "o", markersize=4, label="prediction")
    decided = [i for i, one in enumerate(seen) if one.reading.decided]
    axes[-1].plot(times[decided], [places[i] for i in decided], "D", mfc="none", label="decided")
    axes[-1].set_yticks(range(len(words)), [_plain(word)[:30] for word in words])
    axes[-1].set_xlabel("seconds of the signal")
    _legend(axes[-1])
    return figure


def _legend(axis: Axes) -> None:
    """Above the curves, never on them."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
    axis.legend(**place, fontsize="small", ncols=6, frameon=False)


def _plain(text: str) -> str:
    """Dollar signs would begin mathematics."""
    return text.replace("$", r"\$")
