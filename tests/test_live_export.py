"""What leaves the live page (tables, pictures, labelled clips), and who may reach it."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import os
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from starlette.types import Message, Receive, Scope, Send

from host_tools.cli import main
from host_tools.link.protocol import Channel, Sensor
from host_tools.live.dataset import ClipStore
from host_tools.live.export import plot, plot_png, predictions_csv, signal_csv
from host_tools.live.guard import Guard, new_token
from host_tools.live.history import SignalHistory
from host_tools.live.plan import ClipRequest, Recorded
from model.datasets import load_dataset
from model.datasets.base import Dataset
from model.datasets.truth import truth_of
from model.recipe import Recipe
from model.recipe_file import load_recipe
from tests.gestures import PEOPLE, gestures_csv
from tests.live_plan import LABELS, SAMPLES, SENSOR
from tests.test_live import prediction


def test_predictions_as_csv_are_whole_and_no_formula() -> None:
    made = [prediction(1.0, label, index=i) for i, label in enumerate(LABELS)]
    rows = list(csv.reader(io.StringIO(predictions_csv(made, "cycles"))))
    head, *lines = rows
    assert len({len(row) for row in rows}) == 1
    assert [row[3].removeprefix("'") for row in lines] == list(LABELS)
    assert not [c for row in rows for c in row if c.startswith(("=", "+", "@", "\t", "\r"))]
    assert head[7] == "model_cycles"
    assert lines[0][1] == "1.000"
    assert predictions_csv([], "cycles").count("\n") == 1


def test_the_signal_as_csv_has_units_and_gaps() -> None:
    history = SignalHistory(SENSOR)
    history.add(SAMPLES[:3])
    history.gap()
    history.add(SAMPLES[3:5])
    head, *rows = csv.reader(io.StringIO(signal_csv(history.last(5))))
    assert head[3] == "ax (g)"
    assert [row[2] for row in rows] == ["0", "0", "0", "1", "0"]
    values = np.array([row[3:] for row in rows], float)
    assert np.allclose(values, SAMPLES[:5] * 0.001, rtol=1e-9)
    assert signal_csv(None) == "sample,seconds,gap\n"


def test_the_picture_takes_any_name() -> None:
    history = SignalHistory(SENSOR)
    history.add(SAMPLES)
    made = [prediction(i / 10, label) for i, label in enumerate((*LABELS, "$x_{$", "{"))]
    for signal in (history.last(6000), None):
        assert plot_png(signal, made, "a $model").startswith(b"\x89PNG")
    assert plot_png(None, [], "").startswith(b"\x89PNG")


def test_no_legend_lies_on_the_curves() -> None:
    history = SignalHistory(SENSOR)
    history.add(SAMPLES)
    figure = plot(history.last(6000), [prediction(1.0)], "title")
    figure.draw_without_rendering()
    for axis in figure.axes:
        legend = axis.get_legend()
        assert legend is not None
        assert legend.get_window_extent().y0 >= axis.get_window_extent().y1


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def answer(guard: Guard, kind: str, path: str, *headers: tuple[str, str]) -> Message:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    given = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope: dict[str, Any] = {"type": kind, "path": path, "headers": given}
    asyncio.run(guard(scope, receive, send))
    return sent[0]


HOST, ORIGIN = ("host", "127.0.0.1:81"), ("origin", "http://127.0.0.1:81")
ASKED: list[tuple[str, str, list[tuple[str, str]], bool]] = [
    ("http", "/T/", [HOST], True),
    ("http", "/T/", [("host", "localhost:81")], True),
    ("http", "/T/export/plot.png", [HOST, ORIGIN], True),
    ("websocket", "/T/ws", [HOST, ORIGIN], True),
    ("http", "/", [HOST], False),
    ("http", "/t/", [HOST], False),
    ("http", "/T2/", [HOST], False),
    ("http", "//T/", [HOST], False),
    ("http", "/\u20ac/", [HOST], False),
    ("http", "/T/", [], False),
    ("http", "/T/", [HOST, HOST], False),
    ("http", "/T/", [("host", "evil.example:81")], False),
    ("http", "/T/", [("host", "127.0.0.1:82")], False),
    ("http", "/T/", [("host", "127.0.0.1")], False),
    ("http", "/T/", [HOST, ("origin", "http://evil.example")], False),
    ("http", "/T/", [HOST, ("origin", "null")], False),
    ("websocket", "/T/ws", [HOST], False),
    ("websocket", "/T/ws", [HOST, ("origin", "http://evil.example")], False),
    ("websocket", "/x/ws", [HOST, ORIGIN], False),
]


@pytest.mark.parametrize(("kind", "path", "headers", "may"), ASKED)
def test_only_the_printed_address_is_answered(
    kind: str, path: str, headers: list[tuple[str, str]], may: bool
) -> None:
    got = answer(Guard(_app, "T", 81), kind, path, *headers)
    if may:
        assert got["status"] == 200
        assert any(name == b"content-security-policy" for name, _ in got["headers"])
    elif kind == "http":
        assert got["status"] == 403
    else:
        assert got == {"type": "websocket.close", "code": 1008}


def test_tokens_are_long_and_different() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32


def project_of(folder: Path, *arguments: str) -> tuple[Recipe, Dataset]:
    """A new project for the data in folder/raw, in whose folder the test stands from now on."""
    assert main(["new", "mine", "--from", "raw", *arguments]) == 0
    os.chdir(folder / "mine")  # the fixture `project` goes back
    return recipe_in(folder / "mine")


def recipe_in(folder: Path) -> tuple[Recipe, Dataset]:
    recipe = load_recipe(str(folder / "mine.toml"), accept_data=True, write_lock=False)
    return recipe, load_dataset(recipe.dataset, truth_of(recipe))


def recorded(
    label: str, channels: tuple[tuple[str, str, float], ...], rate_hz: float, **changes: Any
) -> Recorded:
    sensor = Sensor(
        rate_millihertz=round(1000 * rate_hz),
        channels=tuple(
            Channel(name=n, unit=u, lsb_nano=round(1e9 * step)) for n, u, step in channels
        ),
    )
    samples = np.random.default_rng(3).integers(-900, 900, (300, len(channels))).astype(np.int16)
    request = ClipRequest(label=label, who="zoe", seconds=3.0)
    values = {"request": request, "sensor": sensor, "samples": samples, "from_sensor": True}
    return Recorded(**(values | changes))


ACCELERATION = tuple((name, "g", 0.001) for name in ("x", "y", "z"))


@pytest.mark.parametrize(
    ("name", "header", "line", "arguments", "expected"),
    [
        ("{label}.{who}.{take}.csv", "time,ax,ay,az", "{t:.4f},{x:.4f},{y:.4f},{z:.4f}",
         ("--names", "{label}.{group}.{}.csv"), "wave.zoe.1.csv"),
        ("{who}/{label}_{take}.csv", "time [ms];ax [g];ay [g];az [g]",
         "{t:.4f};{x:.4f};{y:.4f};{z:.4f}", ("--names", "{group}/{label}_{}.csv", "--rate", "100"),
         "zoe/wave_1.csv"),
        ("{label}/{who}-{take}.txt", "", "{x:.4f},{y:.4f},{z:.4f}",
         ("--names", "{label}/{group}-{}.txt", "--rate", "100"), "wave/zoe-1.txt"),
    ],
)  # fmt: skip
def test_a_clip_of_csv_is_accepted_by_check(
    project: Path, name: str, header: str, line: str, arguments: tuple[str, ...], expected: str
) -> None:
    line = line.replace("{t:.4f}", "{t:.1f}") if "[ms]" in header else line
    gestures_csv(project / "raw", name, header, line)
    if "[ms]" in header:
        for path in (project / "raw").rglob("*.csv"):
            rows = path.read_text().splitlines()
            path.write_text("\n".join([rows[0], *(f"{10 * i};{r.partition(';')[2]}"
                                                  for i, r in enumerate(rows[1:]))]))  # fmt: skip
    recipe, dataset = project_of(project, *arguments)
    store = ClipStore(recipe, dataset, "native", project / "aside")
    take = recorded("wave", ACCELERATION, 100.0)
    store.refuse(take.request)
    with pytest.raises(Exception, match="the labels circle, wave"):
        store.refuse(ClipRequest(label="jump", who="zoe", seconds=1.0))
    told = store.save(take)
    assert (project / "raw" / expected).is_file(), told
    if "time," in header:  # it takes seconds
        assert main(["check", "--project", str(project / "mine"), "--accept"]) == 0
    _, after = recipe_in(project / "mine")
    assert len(after.recordings) == len(dataset.recordings) + 1
    (found,) = [r for r in after.recordings if after.group_title(r.group) == "zoe"]
    assert after.labels[found.label] == "wave"
    assert np.allclose(found.values, take.samples * 0.001, atol=1e-7)
    assert expected.replace("1.", "2.") in store.save(take)


def test_a_clip_of_a_label_column_and_hostile_labels(project: Path) -> None:
    labels = ("rest", "<script>alert(1)</script>")
    for who in range(5):
        rows = ["t,label,ax,ay,az"]
        for at in range(600):
            label = labels[at // 300]
            rows.append(f'{at / 100:.2f},"{label}",{np.sin(at * (1 + at // 300) / 9):.4f},{who},1')
        path = project / "raw" / f"day_{who}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(rows) + "\n")
    recipe, dataset = project_of(project)
    assert recipe.dataset.csv_folder is not None
    assert recipe.dataset.csv_folder.label_column == "label"
    store = ClipStore(recipe, dataset, "native", project / "aside")
    take = recorded(labels[1], ACCELERATION, 100.0)
    store.refuse(take.request)
    assert "check --accept" in store.save(take)
    _, after = recipe_in(project / "mine")
    assert len(after.recordings) == len(dataset.recordings) + 1
    replayed = recorded("rest", ACCELERATION, 100.0, from_sensor=False)
    assert "not in the data set" in store.save(replayed)
    with pytest.raises(Exception, match="letters, digits"):  # no such folder beside the data
        store.save(recorded(labels[1], ACCELERATION, 100.0, from_sensor=False))
    assert [p.parent.name for p in (project / "aside").rglob("*.json")] == ["rest"]


def test_a_clip_of_sound_is_a_wav_file(project: Path) -> None:
    rng = np.random.default_rng(4)
    for label in ("no", "yes"):
        for who in PEOPLE:
            write_wav(project / "raw" / label / f"{who}_0.wav", rng.normal(0, 2000, 8000))
    recipe, dataset = project_of(project, "--names", "{label}/{group}_{}.wav")
    store = ClipStore(recipe, dataset, "native", project / "aside")
    take = recorded("yes", (("audio", "full scale", 2**-15),), 8000.0)
    assert "check --accept" in store.save(take)
    assert (project / "raw" / "yes" / "zoe_1.wav").is_file()
    _, after = recipe_in(project / "mine")
    (found,) = [r for r in after.recordings if after.group_title(r.group) == "zoe"]
    whole = np.rint(found.values[:, 0] * 2**15).astype(int).tolist()
    assert str(take.samples[:, 0].tolist())[1:-1] in str(whole)
    loud = recorded("yes", (("audio", "full scale", 0.001),), 8000.0)
    assert "not in the data set" in store.save(loud)


def write_wav(path: Path, values: npt.NDArray[np.float64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(values.astype("<i2").tobytes())


def test_a_clip_of_edge_impulse_is_as_record_writes_it(project: Path) -> None:
    aside = ClipStore(None, None, "native", project / "raw")
    for label in ("rest", "wave"):
        for seed, who in enumerate(PEOPLE):
            take = recorded(label, ACCELERATION, 100.0)
            samples = take.samples + np.int16(seed + 50 * (label == "wave"))
            request = ClipRequest(label=label, who=who, seconds=3.0)
            aside.save(dataclasses.replace(take, samples=samples, request=request))
    recipe, dataset = project_of(project, "--names", "{}/{label}.{group}.{}.json")
    assert recipe.dataset.source == "edge_impulse"
    store = ClipStore(recipe, dataset, "native", project / "aside")
    take = recorded("wave", ACCELERATION, 100.0)
    assert "check --accept" in store.save(take)
    _, after = recipe_in(project / "mine")
    (found,) = [r for r in after.recordings if after.group_title(r.group) == "zoe"]
    assert np.allclose(found.values, take.samples * 0.001, atol=1e-7)


@pytest.mark.parametrize(
    ("channels", "rate_hz", "why"),
    [
        (ACCELERATION[:2], 100.0, "2 channels"),
        (ACCELERATION, 60.0, "60 samples a second"),
        (tuple((n, "m/s2", s) for n, _, s in ACCELERATION), 100.0, "'m/s2'"),
    ],
)
def test_what_does_not_suit_the_data_is_kept_aside(
    project: Path, channels: tuple[tuple[str, str, float], ...], rate_hz: float, why: str
) -> None:
    gestures_csv(project / "raw", header="time,ax [g],ay [g],az [g]")
    recipe, dataset = project_of(project, "--names", "{label}.{group}.{}.csv")
    store = ClipStore(recipe, dataset, "native", project / "aside")
    before = sorted((project / "raw").iterdir())
    told = store.save(recorded("wave", channels, rate_hz))
    assert why in told
    assert "not in the data set" in told
    assert sorted((project / "raw").iterdir()) == before
    assert (project / "aside" / "wave" / "wave.zoe.0001.json").is_file()
