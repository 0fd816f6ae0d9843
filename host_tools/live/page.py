"""The page: draws snapshots of a session, and hands over what the user asks for.

Every text goes through Vue as text or through Jinja with escaping, so that no label is markup.
Controls are the browser's own, which bring keyboard and screen reader with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response
from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from host_tools.errors import UsageError
from host_tools.live import words
from host_tools.live.charts import by_unit, predictions_chart, signal_chart
from host_tools.live.clips import MAX_SECONDS
from host_tools.live.export import plot_png, predictions_csv, signal_csv
from host_tools.live.plan import ClipRequest
from host_tools.live.session import HELD_OUT, SENSOR, Session
from host_tools.live.state import Prediction, Snapshot, State
from model.page import environment

PERIOD_S = 0.4  # between two pictures
RECONNECT_S = 30.0  # a busy computer may be slow; behind it the page loads anew, what is typed lost
SPOKEN_S = 3.0  # at least, between two words of a screen reader
VIEWS = (5, 10, 30, 60)  # seconds of the signal
ROWS = 10  # predictions of the table
LISTED_TAKES = 500
MAX_TYPED = 200  # characters of a field
PICTURE_S = 60.0  # of the PNG
STYLE = Path(__file__).with_name("page.css")
ENDED = Path(__file__).with_name("ended.js")
_TEMPLATES = environment(Path(__file__).parent / "templates")


def install(app: FastAPI, session: Session, token: str) -> None:
    """Put the page and its exports at /<token>/ of `app`."""

    @app.get(f"/{token}/alive")
    def alive() -> Response:
        return Response(status_code=204)

    @app.get(f"/{token}/export/predictions.csv")
    def predictions() -> Response:
        text = predictions_csv(session.predictions(), session.plan.unit)
        return _file("predictions.csv", text.encode("utf-8"), "text/csv")

    @app.get(f"/{token}/export/signal.csv")
    def signal() -> Response:
        return _file("signal.csv", signal_csv(session.signal()).encode("utf-8"), "text/csv")

    @app.get(f"/{token}/export/plot.png")
    def plot() -> Response:
        snapshot = session.snapshot()
        title = f"{session.plan.title} on {snapshot.board}, {snapshot.target}"
        picture = plot_png(session.signal(PICTURE_S), session.predictions(), title)
        return _file("plot.png", picture, "image/png")

    @ui.page("/", title=f"{session.plan.title} live", dark=None, language="en-US")
    def page() -> None:
        Page(session).build()

    ui.run_with(
        app,
        mount_path=f"/{token}",
        tailwind=False,
        language="en-US",
        dark=None,
        show_welcome_message=False,
        favicon="📈",
        reconnect_timeout=RECONNECT_S,
    )


def _file(name: str, data: bytes, kind: str) -> Response:
    head = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(data, media_type=kind, headers=head)


class Words(TextElement):
    """A text in any tag; it is never markup."""

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)


class Field:
    """A labelled control of the browser's own; `value` is what it holds."""

    def __init__(self, label: str, tag: str, value: str, **props: str) -> None:
        self.value = value
        with ui.element("label").classes("field"):
            Words("span", label)
            self.element = ui.element(tag)
        self.element.props.update(props)
        if tag == "input":
            # The attribute: each picture would set the property again, over what is typed.
            self.element.props["^value"] = value
        self.element.on("input", self._changed, js_handler="(e) => emit(e.target.value)")

    def _changed(self, event: GenericEventArguments) -> None:
        self.value = str(event.args)[:MAX_TYPED]


class Choice(Field):
    """One of several options, (value, text)."""

    def __init__(self, label: str, options: Sequence[tuple[str, str]], value: str) -> None:
        super().__init__(label, "select", value)
        self.element.props["value"] = value
        with self.element:
            for own, text in options:
                Words("option", text).props["value"] = own

    def show(self, value: str) -> None:
        """What is chosen elsewhere."""
        self.value = value
        _set(self.element, "value", value)

    def _changed(self, event: GenericEventArguments) -> None:
        super()._changed(event)
        _set(self.element, "value", self.value)


def _button(text: str, do: Callable[[], None], classes: str = "act") -> Words:
    button = Words("button", text, classes)
    button.props["type"] = "button"
    button.on("click", lambda _: do(), args=[])
    return button


class Page:
    """One browser's view of the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._facts: dict[str, tuple[Element, tuple[str, ...], list[Words]]] = {}
        self._charts: dict[str, tuple[ui.echart, Words]] = {}
        self._spoken, self._spoken_at = "", 0.0
        self._shown = SENSOR  # of the session's sources
        self._clip_told: object = None  # the clip beside which an error of the form stands

    def build(self) -> None:
        """All elements, in the order in which they are read; then the clock that fills them."""
        ui.add_css(STYLE.read_text("utf-8"))
        ui.add_body_html(f"<script>{ENDED.read_text('utf-8')}</script>")
        plan = self._session.plan
        with ui.element("div").classes("live"):
            with ui.element("header").classes("live-head"):
                Words("h1", f"{plan.title} live")
                self._state = Words("p", "", "live-state")
                self._state.props('role="status" aria-live="polite"')
                Words("p", "Server ended", "live-state ended")
                self._where = Words("p", "", "where")
            with ui.element("main"):
                self._build_ended()
                self._build_away()
                with ui.element("div").classes("live-grid"):
                    with ui.element("div").classes("live-column"):
                        self._build_decision()
                        self._build_signal()
                        self._build_predictions()
                    with ui.element("div").classes("live-column"):
                        self._build_clip()
                        self._build_export()
                        for name in ("What runs", "Memory", "Link", "Drift"):
                            self._build_facts(name)
                        self._build_notes()
        self._draw()
        ui.timer(PERIOD_S, self._draw)

    def _card(self, title: str) -> Element:
        section = ui.element("section").classes("card")
        section.props["aria-label"] = title
        with section:
            Words("h2", title)
        return section

    def _build_ended(self) -> None:
        """Shown by ended.js alone: then nothing from here reaches the page any more."""
        box = ui.element("section").classes("card away ended")
        box.props('role="alert" aria-label="Server ended"')
        with box:
            Words("strong", "The server of this page has ended. ")
            Words("span", "What is shown is what it knew last; it cannot be exported any more.")
            Words("p", "To go on, type this and open the address that it prints:", "note")
            Words("code", self._session.plan.again)

    def _build_away(self) -> None:
        self._away = ui.element("section").classes("card away")
        self._away.props('role="alert" aria-label="Board away"')
        with self._away:
            Words("strong", "The board is away. ")
            self._away_text = Words("span")
            Words("p", "The page goes on by itself when the board is back.", "note")
        self._away.set_visibility(False)

    def _build_decision(self) -> None:
        with self._card("Prediction"):
            with ui.element("div").classes("decision"):
                self._says = Words("p", "", "says")
                self._share = Words("p", "", "share")
            self._meter = ui.element("meter")
            self._meter.props.update({"min": 0, "max": 1, "aria-label": "Confidence"})
            self._decided = Words("p", "", "note")
            self._cost = Words("p", "", "note")
            self._live = Words("p", "", "sr")
            self._live.props('aria-live="polite" aria-atomic="true"')

    def _build_signal(self) -> None:
        plan = self._session.plan
        options = [(SENSOR, "the board's sensor")]
        if plan.takes:
            options.append((HELD_OUT, "replay: all held-out recordings"))
            listed = enumerate(plan.takes[:LISTED_TAKES])
            options += [(str(i), f"replay: {take.name} ({take.truth})") for i, take in listed]
        with self._card("Signal"):
            with ui.element("div").classes("controls"):
                self._pause = _button("Pause", self._toggle_pause, "act first")
                chosen = self._chosen = Choice("Source", options, self._shown)
                chosen.element.on("input", lambda _: self._session.choose(chosen.value), args=[])
                views = [(str(s), f"{s} s") for s in VIEWS]
                self._view = Choice("Shown", views, str(VIEWS[1]))
            self._source = Words("p", "", "note")
            self._signals = ui.element("div")

    def _build_predictions(self) -> None:
        with self._card("Predictions over time"):
            chart = ui.echart(predictions_chart((), (), 0.0), renderer="svg")
            chart.classes("chart tall").props('role="img"')
            self._timeline = chart
            self._table = ui.element("div").classes("table")
            self._table.props('tabindex="0" role="region" aria-label="Last predictions"')
            with self._table:
                self._rows = ui.html("")

    def _build_clip(self) -> None:
        plan = self._session.plan
        with self._card("Record a labelled clip"), ui.element("div").classes("controls"):
            labels = ui.element("datalist")
            labels.props["id"] = "labels"
            with labels:
                for label in plan.labels:
                    Words("option", label).props["value"] = label
            first = plan.labels[0] if plan.labels else ""
            common = {"autocomplete": "off", "maxlength": "64"}
            self._label = Field("Label", "input", first, type="text", list="labels", **common)
            self._who = Field("Who", "input", self._session.who, type="text", **common)
            numbers = {"min": "0.1", "max": str(int(MAX_SECONDS)), "step": "any"}
            self._seconds = Field("Seconds", "input", "5", type="number", **numbers)
            self._record = _button("Record", self._toggle_clip, "act first")
            self._clip = Words("p", "", "note")
            self._clip.props('role="status" aria-live="polite"')
            Words("p", f"Clips of a sensor go to {plan.where}.", "note")

    def _build_export(self) -> None:
        with self._card("Export"), ui.element("div").classes("controls"):
            for text, file in (
                ("Predictions (CSV)", "predictions.csv"),
                ("Signal (CSV)", "signal.csv"),
                ("Picture (PNG)", "plot.png"),
            ):
                link = Words("a", text, "act")
                link.props.update({"href": f"export/{file}", "download": file})

    def _build_facts(self, name: str) -> None:
        with self._card(name):
            self._facts[name] = (ui.element("dl").classes("facts"), (), [])

    def _build_notes(self) -> None:
        with self._card("What happened"):
            self._notes = ui.html("", tag="ul").classes("log")
            self._notes.props('tabindex="0" aria-label="What happened"')

    def _toggle_pause(self) -> None:
        paused = self._session.snapshot().state is State.PAUSED
        (self._session.resume if paused else self._session.pause)()

    def _toggle_clip(self) -> None:
        if self._session.snapshot().clip.running:
            self._session.cancel_clip()
            return
        try:
            seconds = float(self._seconds.value)
        except ValueError:
            seconds = 0.0
        request = ClipRequest(label=self._label.value, who=self._who.value, seconds=seconds)
        try:
            self._session.record(request)
        except UsageError as error:
            self._clip.text = str(error)
            self._clip_told = self._session.snapshot().clip

    def _draw(self) -> None:
        snapshot = self._session.snapshot()
        self._draw_state(snapshot)
        self._draw_decision(snapshot)
        self._draw_signal(snapshot)
        self._draw_predictions(snapshot)
        if snapshot.clip != self._clip_told:
            self._clip_told = None
            self._clip.text = words.clip_text(snapshot)
        self._record.text = "Cancel" if snapshot.clip.running else "Record"
        lists = {
            "What runs": words.board_facts(snapshot),
            "Memory": words.memory_facts(snapshot),
            "Link": words.link_facts(snapshot),
            "Drift": words.drift_facts(snapshot),
        }
        for name, facts in lists.items():
            self._draw_facts(name, facts)
        notes = [(words.clock(note.time), note.text) for note in reversed(snapshot.notes)]
        self._notes.set_content(_TEMPLATES.get_template("notes.html.jinja").render(notes=notes))

    def _draw_state(self, snapshot: Snapshot) -> None:
        self._state.text = words.headline(snapshot).capitalize()
        if self._state.props.get("data-state") != snapshot.state.value:
            self._state.props["data-state"] = snapshot.state.value
            self._state.update()
        self._where.text = f"{snapshot.board}, {words.where(snapshot)}"
        away = snapshot.state is State.AWAY
        self._away_text.text = snapshot.message if away else ""
        self._away.set_visibility(away)
        self._pause.text = "Resume" if snapshot.state is State.PAUSED else "Pause"

    def _draw_decision(self, snapshot: Snapshot) -> None:
        last = snapshot.predictions[-1] if snapshot.predictions else None
        reading = last.reading if last else None
        self._says.text = reading.text if reading else "No prediction yet"
        share = reading.confidence if reading else None
        self._share.text = "" if share is None else f"{words.percent(share)} sure"
        self._meter.set_visibility(share is not None)
        if share is not None and self._meter.props.get("value") != share:
            self._meter.props["value"] = share
            self._meter.update()
        decided = snapshot.decision
        self._decided.text = (
            f"Decided: {decided.reading.decided}, at {words.clock(decided.time)}"
            if decided
            else "Nothing decided yet"
        )
        self._cost.text = words.cost(last, snapshot) if last else ""
        old = "old" if snapshot.state is not State.RUNNING else None
        self._says.classes(add=old, remove=None if old else "old")
        self._speak(last)

    def _speak(self, last: Prediction | None) -> None:
        """What has changed, and not more often than one can listen to."""
        text = last.reading.text if last else ""
        now = last.at_s if last else 0.0
        if text != self._spoken and now - self._spoken_at >= SPOKEN_S:
            self._spoken, self._spoken_at = text, now
            self._live.text = words.spoken(last)

    def _draw_signal(self, snapshot: Snapshot) -> None:
        self._source.text = f"Now: {snapshot.source}"
        if snapshot.chosen != self._shown:
            self._shown = snapshot.chosen
            self._chosen.show(snapshot.chosen)
        seconds = float(self._view.value) if self._view.value in map(str, VIEWS) else 10.0
        signal = self._session.signal(seconds)
        if signal is None:
            return
        groups = by_unit(signal.sensor)
        if set(groups) != set(self._charts):
            self._signals.clear()
            self._charts = {}
            with self._signals:
                for unit in groups:
                    chart = ui.echart({"series": []}, renderer="svg").classes("chart")
                    chart.props('role="img"')
                    self._charts[unit] = (chart, Words("p", "", "sr"))
        for unit, indices in groups.items():
            chart, _ = self._charts[unit]
            _set_options(chart, signal_chart(signal, indices, unit, seconds))
            names = ", ".join(signal.sensor.channels[i].name for i in indices)
            _set(chart, "aria-label", f"Signal of the last {seconds:g} s in {unit}: {names}")

    def _draw_predictions(self, snapshot: Snapshot) -> None:
        names = _names(self._session, snapshot.predictions)
        now_s = self._session.now_s()
        _set_options(self._timeline, predictions_chart(snapshot.predictions, names, now_s))
        last = snapshot.predictions[-ROWS:][::-1]
        _set(self._timeline, "aria-label", f"Predictions of the last minute: {len(last)} in table")
        rows = [
            {
                "time": words.clock(one.time),
                "says": one.reading.text,
                "share": words.percent(one.reading.confidence),
                "decided": one.reading.decided or words.NONE,
                "truth": one.truth or words.NONE,
                "cost": words.latency(one.counts, snapshot),
                "answer": words.answer(one),
            }
            for one in last
        ]
        self._rows.set_content(_TEMPLATES.get_template("rows.html.jinja").render(rows=rows))

    def _draw_facts(self, name: str, facts: list[words.Fact]) -> None:
        place, known, values = self._facts[name]
        names = tuple(fact.name for fact in facts)
        if names != known:
            place.clear()
            with place:
                values = []
                for fact in facts:
                    Words("dt", fact.name)
                    values.append(Words("dd", fact.value))
            self._facts[name] = (place, names, values)
        for word, fact in zip(values, facts, strict=True):
            word.text = fact.value


def _names(session: Session, predictions: Sequence[Prediction]) -> list[str]:
    """Classes for the chart, the first at the top."""
    found = [name for one in predictions[-1:] for name, _ in one.reading.scores]
    return list(reversed(found or list(session.plan.labels)))


def _set(element: Element, name: str, value: Any) -> None:
    if element.props.get(name) != value:
        element.props[name] = value
        element.update()


def _set_options(chart: ui.echart, options: dict[str, Any]) -> None:
    if chart.props["options"] != options:
        chart.props["options"] = options
        chart.update()
