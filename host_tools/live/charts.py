"""The page's charts as ECharts' options. Names are values there, never keys, which it evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from host_tools.link.protocol import Sensor
from host_tools.live.state import Prediction, Signal

MAX_POINTS = 500  # of a channel
LINES = ("solid", "dashed", "dotted")
INK, GRID = "var(--ink-2)", "var(--line)"
FONT = "system-ui, sans-serif"  # that of page.css
COLOURS = tuple(f"var(--series-{i})" for i in range(1, 7))
MAX_NAME = 24  # characters of an axis
PREDICTIONS_S = 60.0
Options = dict[str, Any]


def by_unit(sensor: Sensor) -> dict[str, list[int]]:
    """Unit -> channels of it, in their order."""
    groups: dict[str, list[int]] = {}
    for index, channel in enumerate(sensor.channels):
        groups.setdefault(channel.unit, []).append(index)
    return groups


def thinned(
    signal: Signal, channel: int, most: int = MAX_POINTS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(samples, values) of a channel, at most `most`; not-a-numbers stand where some are missing.

    Of a longer stretch the smallest and the largest value of each piece are kept, so that no peak
    gets lost.
    """
    lsb = signal.sensor.channels[channel].lsb_nano * 1e-9
    values = signal.samples[:, channel] * lsb
    at = np.arange(signal.first, signal.first + len(values), dtype=np.float64)
    if len(values) > most:
        piece = -(-2 * len(values) // most)
        starts = range(0, len(values), piece)
        kept = np.unique(
            [
                start + int(found)
                for start in starts
                for part in [values[start : start + piece]]
                for found in (part.argmin(), part.argmax())
            ]
        )
        at, values = at[kept], values[kept]
    gaps = np.searchsorted(at, signal.gaps)
    return np.insert(at, gaps, np.array(signal.gaps, float)), np.insert(values, gaps, np.nan)


def signal_chart(signal: Signal, channels: Sequence[int], unit: str, seconds: float) -> Options:
    """The last `seconds` of some channels of one unit."""
    end = signal.first + len(signal.samples)
    series = []
    for order, index in enumerate(channels):
        at, values = thinned(signal, index)
        points = [
            [round(x, 3), None if np.isnan(y) else round(float(y), 5)]
            for x, y in zip((at - end) / signal.rate_hz, values, strict=True)
        ]
        series.append(
            {
                "type": "line",
                "name": f"{signal.sensor.channels[index].name} ({unit})",
                "data": points,
                "symbol": "none",
                "silent": True,
                "color": COLOURS[order % len(COLOURS)],
                "lineStyle": {"width": 1.5, "type": LINES[order % len(LINES)]},
            }
        )
    return _frame(
        series,
        y={"type": "value", "scale": True},
        x={"min": -seconds, "max": 0},
        top=30,
    )


def predictions_chart(
    predictions: Sequence[Prediction], names: Sequence[str], now_s: float
) -> Options:
    """Class by time, the larger the surer; a diamond where the rule decides, a square the truth.

    Where nothing has a confidence: the outputs by time.
    """
    span_s = _span_s(predictions, now_s)
    recent = [one for one in predictions if one.at_s > now_s - span_s]
    if recent and recent[-1].reading.confidence is None:
        return _numbers_chart(recent, now_s, span_s)
    places = {name: number for number, name in enumerate(names)}
    words = [one for one in recent if one.reading.text in places]

    def points(what: Sequence[tuple[Prediction, str, float]]) -> list[Options]:
        return [
            {"value": [round(one.at_s - now_s, 2), places[name]], "symbolSize": size}
            for one, name, size in what
            if name in places
        ]

    sure = [(p, p.reading.text, 3 + 10 * (p.reading.confidence or 0)) for p in words]
    decided = [(p, p.reading.decided, 18.0) for p in words if p.reading.decided]
    truth = [(p, p.truth, 16.0) for p in words if p.truth]
    outline = {"color": "transparent", "borderWidth": 1.5}
    series = [
        _scatter("predicted", "circle", points(sure), {"color": COLOURS[0]}),
        _scatter("decided", "diamond", points(decided), outline | {"borderColor": COLOURS[1]}),
        _scatter("recorded as", "rect", points(truth), outline | {"borderColor": INK}),
    ]
    return _frame(
        [one for one in series if one["data"] or one["name"] == "predicted"],
        y={"type": "category", "data": [name[:MAX_NAME] for name in names]},
        x={"min": -span_s, "max": 0},
        top=36,
    )


def _span_s(predictions: Sequence[Prediction], now_s: float) -> float:
    """PREDICTIONS_S, or less where the predictions given do not reach back so far."""
    if not predictions or predictions[0].index == 0:
        return PREDICTIONS_S
    return min(PREDICTIONS_S, max(1.0, float(np.ceil(now_s - predictions[0].at_s))))


def _numbers_chart(recent: Sequence[Prediction], now_s: float, span_s: float) -> Options:
    names = [name for name, _ in recent[-1].reading.scores]
    series = [
        {
            "type": "line",
            "name": name,
            "data": [[round(p.at_s - now_s, 2), p.reading.scores[i][1]] for p in recent],
            "showSymbol": len(recent) < 100,
            "symbol": ("circle", "rect", "triangle", "diamond")[i % 4],
            "silent": True,
            "color": COLOURS[i % len(COLOURS)],
            "lineStyle": {"width": 1.5, "type": LINES[i % len(LINES)]},
        }
        for i, name in enumerate(names)
    ]
    y = {"type": "value", "scale": True}
    return _frame(series, y=y, x={"min": -span_s, "max": 0}, top=36)


def _scatter(name: str, symbol: str, data: list[Options], style: Options) -> Options:
    return {
        "type": "scatter",
        "name": name,
        "symbol": symbol,
        "data": data,
        "itemStyle": style,
        "silent": True,
    }


def _frame(series: list[Options], *, y: Options, x: Options, top: int) -> Options:
    # "inherit" would be measured as another font than is drawn, and long names be cut off
    text = {"color": INK, "fontSize": 12, "fontFamily": FONT}
    grid = {"show": True, "lineStyle": {"color": GRID}}
    # onZero would put each axis where the other one is 0: to the right, and through the curves
    line = {"onZero": False, "lineStyle": {"color": GRID}}
    axis = {"axisLabel": {**text, "hideOverlap": True}, "axisLine": line, "splitLine": grid}
    ends = {"alignMinLabel": "left", "alignMaxLabel": "right", "showMinLabel": True}
    seconds = {**axis["axisLabel"], "formatter": "{value} s", **ends, "showMaxLabel": True}
    return {
        "animation": False,
        "backgroundColor": "transparent",
        "legend": {"top": 0, "left": 0, "itemGap": 18, "textStyle": text, "selectedMode": False},
        "grid": {"left": 8, "right": 22, "top": top, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value", **axis, "axisLabel": seconds, **x},
        "yAxis": {**axis, **y},
        "series": series,
    }
