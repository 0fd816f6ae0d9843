"""The live page in headless Chromium, with an emulated board behind it."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.cli import main
from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.recipe_file import load_recipe
from tests.firmware_builds import built_with_features
from tests.live_plan import CHANNELS, LABELS, NAMES, RATE_HZ, SAMPLES, SENSOR

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed; type: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed; type: sudo apt-get install chromium"
)
ROOT = Path(__file__).parents[1]
WAIT_MS = 30_000
START_S = 60.0
END_S = 20.0
NAMED = 20  # texts of the charts at least
CUT_OFF = """[...document.querySelectorAll('.chart svg text')].filter((text) => {
  const own = text.getBoundingClientRect(), all = text.closest('svg').getBoundingClientRect();
  return own.left < all.left - 0.5 || own.right > all.right + 0.5
    || own.top < all.top - 0.5 || own.bottom > all.bottom + 0.5;
}).map((text) => text.textContent)"""  # what a chart does not show whole


@dataclass(frozen=True, slots=True)
class Served:
    """A page that is served: its process, its address, and its project."""

    process: subprocess.Popen[str]
    url: str
    project: Path

    def emulators(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task")
        found = [(task / "children").read_text().split() for task in path.iterdir()]
        return [int(number) for numbers in found for number in numbers]


def write_data(folder: Path) -> None:
    """A CSV a person, with a column of the stub's labels, at the sensor's rate."""
    units = [channel.unit for channel in SENSOR.channels]
    head = ",".join(["t", "label", *(f"{n} [{u}]" for n, u in zip(NAMES, units, strict=True))])
    rng = np.random.default_rng(2)
    folder.mkdir()
    for who in ("ann", "bob", "cleo", "dan", "eve"):
        rows = [head]
        for at in range(150 * len(LABELS)):
            label = LABELS[at // 150].replace('"', '""')
            values = ",".join(f"{v:.4f}" for v in rng.normal(size=CHANNELS))
            rows.append(f'{at / RATE_HZ:.6f},"{label}",{values}')
        (folder / f"{who}.csv").write_text("\n".join(rows) + "\n")


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    assert ready, f"the server has printed nothing in {START_S:.0f} s"
    return process.stdout.readline().strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("live")
    write_data(folder / "raw")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["new", "mine", "--from", "raw"]) == 0
    finally:
        os.chdir(before)
    elf = built_with_features("native") / "firmware.elf"
    command = [sys.executable, "-m", "tests.live_server", str(folder / "mine"), str(elf)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield Served(process, first_line(process), folder / "mine")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    """The page when it has a prediction; it must have asked nobody else, and said no error."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        context.set_default_timeout(WAIT_MS)
        opened = context.new_page()
        asked: list[str] = []
        errors: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        opened.goto(served.url)
        opened.wait_for_function("document.querySelectorAll('.table tbody tr').length > 1")
        yield opened
        own = re.compile(r"(data:|blob:|(http|ws)://127\.0\.0\.1:\d+/)")
        assert not [url for url in asked if not own.match(url)]
        assert not errors
        assert "stub" in opened.title()


def test_predictions_of_any_name_are_text(page: Any) -> None:
    says = page.locator(".says")
    assert says.inner_text() in LABELS
    rows = page.locator(".table tbody td:nth-child(2)").all_inner_texts()
    assert set(rows) <= {*LABELS}
    assert page.locator("h1").inner_text() == "stub <i>model</i> live"
    assert page.locator("main script, main b, h1 i").count() == 0
    options = page.locator("datalist option").all_inner_texts()
    assert set(options) == {*LABELS}
    page.wait_for_function(
        "before => document.querySelector('.table tbody td').innerText != before",
        arg=page.locator(".table tbody td").first.inner_text(),
    )


def test_the_page_has_names_roles_and_an_order_for_the_keyboard(page: Any) -> None:
    for role, name in (
        ("main", None), ("heading", "Signal"), ("button", "Pause"), ("combobox", "Source"),
        ("combobox", "Shown"), ("spinbutton", "Seconds"), ("button", "Record"),
        ("link", "Predictions (CSV)"), ("region", "Memory"), ("meter", "Confidence"),
        ("table", "Last predictions, the newest first"),
    ):  # fmt: skip
        assert page.get_by_role(role, name=name).first.is_visible(), (role, name)
    charts = page.locator(".chart[role=img]")
    assert charts.count() == 3
    assert "in g: ax, ay, az" in charts.nth(0).get_attribute("aria-label")
    assert page.locator("[aria-live=polite]").count() >= 3
    said = page.locator(".sr[aria-live]").filter(has_text="Predicted ")
    said.wait_for(state="attached")
    assert page.get_by_role("status").first.inner_text() == "Running"
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "(document.activeElement.closest('label')?.querySelector('span') "
                "|| document.activeElement).innerText.split('\\n')[0]"
            )
        )
    assert order[:3] == ["Pause", "Source", "Shown"]
    assert [name for name in order if name in ("Label", "Who", "Seconds", "Record")] == [
        *("Label", "Who", "Seconds", "Record")
    ]


def test_pause_and_resume_by_the_keyboard(page: Any) -> None:
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Resume").wait_for()
    playwright.expect(page.get_by_role("status").first).to_have_text("Paused")
    page.keyboard.press("Space")
    playwright.expect(page.get_by_role("status").first).to_have_text("Running", timeout=WAIT_MS)


def test_a_labelled_clip_goes_into_the_data_set(page: Any, served: Served) -> None:
    status = page.locator("p[role=status].note")
    assert page.get_by_label("Who", exact=True).input_value() == ""
    page.get_by_role("button", name="Record").click()
    playwright.expect(status).to_contain_text("Who: type who", timeout=WAIT_MS)
    page.get_by_label("Who", exact=True).fill("zoe")
    page.get_by_label("Label", exact=True).fill("no such label")
    page.get_by_role("button", name="Record").click()
    playwright.expect(status).to_contain_text("has the labels", timeout=WAIT_MS)
    page.get_by_label("Label", exact=True).fill(LABELS[1])
    page.get_by_label("Seconds", exact=True).fill("0.5")
    end = re.compile("check --accept|samples are missing")  # where the replayed file begins anew
    page.get_by_role("button", name="Record").press("Enter")
    playwright.expect(status).to_contain_text(end, timeout=WAIT_MS)
    if "missing" in status.inner_text():
        page.get_by_role("button", name="Record").press("Enter")
    playwright.expect(status).to_contain_text("check --accept", timeout=WAIT_MS)
    assert (served.project.parent / "raw" / "zoe.csv").is_file()
    before = Path.cwd()
    os.chdir(served.project)
    try:
        recipe = load_recipe("mine.toml", accept_data=True, write_lock=False)
        found = load_dataset(recipe.dataset, truth_of(recipe))
    finally:
        os.chdir(before)
    (clip,) = [r for r in found.recordings if "zoe" in str(found.group_title(r.group))]
    assert found.labels[clip.label] == LABELS[1]
    taken = np.rint(clip.values / 0.001).astype(int)
    assert taken.shape == (round(0.5 * RATE_HZ), CHANNELS)
    places = np.flatnonzero((taken[0] == SAMPLES).all(axis=1))
    assert any(np.array_equal(SAMPLES[at : at + len(taken)], taken) for at in places)
    page.reload()
    playwright.expect(page.get_by_label("Who", exact=True)).to_have_value("zoe")


def test_exports_are_downloads(page: Any, served: Served) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="Signal (CSV)").click()
    assert download.value.suggested_filename == "signal.csv"
    assert Path(download.value.path()).read_bytes().startswith(b"sample,seconds,gap,ax (g),")
    for link, start in (("Predictions (CSV)", b"time_utc,"), ("Picture (PNG)", b"\x89PNG")):
        place = page.get_by_role("link", name=link).get_attribute("href")
        with urllib.request.urlopen(served.url + place, timeout=START_S) as answer:
            assert answer.read(200).startswith(start)


def test_the_board_goes_away_and_comes_back(page: Any, served: Served) -> None:
    gone = served.project.parent / "gone"
    gone.touch()
    (emulator,) = served.emulators()
    os.kill(emulator, signal.SIGKILL)
    alert = page.get_by_role("alert")
    playwright.expect(alert).to_be_visible(timeout=WAIT_MS)
    playwright.expect(alert).to_contain_text("<img src=x", timeout=WAIT_MS)
    playwright.expect(page.get_by_role("status").first).to_have_text("Board away, looking for it")
    assert page.locator("main img").count() == 0
    gone.unlink()
    playwright.expect(page.get_by_role("status").first).to_have_text("Running", timeout=WAIT_MS)
    assert not alert.is_visible()
    newest = page.locator(".table tbody td").first
    before = newest.inner_text()
    playwright.expect(newest).not_to_have_text(before, timeout=WAIT_MS)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_both_widths_and_both_schemes(
    browser: Any, served: Served, width: int, scheme: str
) -> None:
    with browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    ) as context:
        page = context.new_page()
        page.goto(served.url)
        page.get_by_role("button", name="Pause").wait_for(timeout=WAIT_MS)
        page.wait_for_function("document.querySelectorAll('.chart svg path').length > 5")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.wait_for_function(
            f"[...document.querySelectorAll('.chart svg text')].length > {NAMED}"
        )
        assert page.evaluate(CUT_OFF) == []
        colours = page.evaluate(
            "[document.body, document.querySelector('.says')].map(e => getComputedStyle(e))"
            ".map((s, i) => (i ? s.color : s.backgroundColor).match(/\\d+/g).map(Number))"
        )
        background, ink = (sum(colour[:3]) / 3 for colour in colours)
        assert (background > ink) == (scheme == "light")
        assert abs(background - ink) > 150


def status_of(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=10
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_its_own_address_is_answered(served: Served) -> None:
    root = "/".join(served.url.split("/")[:3])
    assert status_of(served.url) == 200
    for path in ("/", "/wrong/", "/export/plot.png", "/wrong/export/plot.png", "/docs"):
        assert status_of(root + path) == 403
    assert status_of(served.url, Host="evil.example") == 403
    assert status_of(served.url, Origin="http://evil.example") == 403
    script = served.url + "_nicegui_ws/socket.io/?EIO=4&transport=polling"
    assert status_of(script, Origin="http://evil.example") == 403


@pytest.mark.slow
def test_ctrl_c_ends_it_and_its_emulator_and_the_page_says_so(browser: Any, served: Served) -> None:
    (emulator,) = served.emulators()
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(served.url)
        playwright.expect(page.locator(".live-state:visible")).to_have_text("Running")
        os.kill(served.process.pid, signal.SIGINT)
        assert served.process.wait(END_S) == 0
        playwright.expect(page.locator(".live-state:visible")).to_have_text("Server ended")
        playwright.expect(page.get_by_role("alert")).to_contain_text("make live RECIPE=mine")
        assert page.locator(".live-grid").evaluate("grid => grid.inert")
    assert served.process.stdout is not None
    assert served.process.stdout.read() == "ended\n"
    end = time.monotonic() + END_S
    while Path(f"/proc/{emulator}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
