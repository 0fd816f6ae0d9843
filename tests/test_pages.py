"""Pages of results: two experiments side by side, on paper, and alone in the world."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from host_tools.cli import main
from host_tools.errors import UsageError
from host_tools.experiments import comparison
from host_tools.report.write import write_report
from model import store
from model.files import write_json
from model.store import Experiment
from tests.result_files import LABELS, write_drift, write_run, write_training
from tests.stage_results import compare, quantise, train
from tests.test_engines_report import write_engine
from tests.test_report_page import CHROMIUM, evil_run

WINDOWS = range(701, 717)  # of each class, so that each is a word of its own
HEAVY = 1_000_000  # bytes that a page may have
EVIL = "<img src=x onerror=alert(1)>"
A = Experiment(
    id="a" * 32, name="motion", started_ms=1_790_000_000_000, metrics={"x/loss": 1.0},
    settings={"network.filters": "[16, 32, 32]", "train.seed": "7"},
    tags={"code": "1d8fd7324a1b", "version": "0.1.0", "tool.numpy": "2.3.1"},
)  # fmt: skip
B = replace(
    A, id="b" * 32, name=EVIL, metrics={"x/loss": 2.0},
    settings={"network.filters": "[16, 16]", "train.seed": "7", EVIL: EVIL},
    tags=A.tags | {"tool.numpy": EVIL},
)  # fmt: skip


class Parts(HTMLParser):
    """What a browser would ask for, and the tags there are."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what names another place."""
        self.tags.add(tag)
        for key, value in attrs:
            named = key in ("src", "href", "xlink:href", "srcset", "action", "data", "poster")
            if (named and not str(value).startswith("#")) or key.startswith("on"):
                self.asked.append(f"{tag} {key}={value}")
            if key == "style" and "url(" in str(value):
                self.asked.append(str(value))


def parts(text: str) -> Parts:
    """The parts of a page."""
    found = Parts()
    found.feed(text)
    return found


def side_by_side(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch, b: Experiment = B
) -> str:
    """The page of two folders of results, as if the store had kept them."""
    folders = {A.id: first, b.id: second}

    def results(id: str, folder: Path) -> None:
        shutil.copytree(folders[id], folder, dirs_exist_ok=True)

    monkeypatch.setattr(store, "results", results)
    return comparison.comparison_page(A, b)


def smaller(out_dir: Path) -> Path:
    """A run with one layer less, and a worse and a better figure."""
    write_run(out_dir)
    for path in out_dir.glob("gen/*/manifest.json"):
        content = json.loads(path.read_text())
        del content["operators"][2:4]
        write_json(path, content)
    path = out_dir / "qemu_m4" / "bench.json"
    content = json.loads(path.read_text())
    del content["per_layer"][2:4]
    write_json(path, content | {"counts": content["counts"] // 2})
    size = json.loads((out_dir / "qemu_m4" / "size.json").read_text())
    write_json(out_dir / "qemu_m4" / "size.json", size | {"flash_bytes": size["flash_bytes"] + 100})
    return out_dir


def test_two_experiments_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = side_by_side(write_run(tmp_path / "a"), smaller(tmp_path / "b"), monkeypatch)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "network.filters [16, 32, 32] [16, 16]" in text
    assert "B against A: every change is what B has more or less than A" in text
    assert "train.seed" not in text.split("Identity")[0]  # the same in both
    bench = json.loads((tmp_path / "a/qemu_m4/bench.json").read_text())
    counts = bench["counts"]
    assert f"instructions an inference {counts:,} {counts // 2:,} -50.00% better" in text
    assert re.search(r"flash, bytes 24,958 25,058 \+0\.40% worse", text)
    # 6 layers stand beside each other; the two that are gone have no counterpart
    layers = page.split("qemu_m4, instructions")[1].split("</table>")[0]
    assert layers.count(">gone<") == 2 and layers.count(">=<") == 6
    assert "float, balanced accuracy 94." in text or "float, balanced accuracy 93." in text
    assert not parts(page).asked and "img" not in parts(page).tags


def test_an_experiment_without_results_has_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").mkdir()
    page = side_by_side(write_run(tmp_path / "a"), tmp_path / "b", monkeypatch)
    assert "has no results" in page and "network.filters" in page and "Layers" not in page
    with pytest.raises(UsageError, match="twice"):
        comparison.comparison_page(A, A)


def test_results_come_back_as_they_lay(local_store: Path, out_dir: Path, tmp_path: Path) -> None:
    train(out_dir)
    quantise(out_dir)
    compare(out_dir, "native")
    run = store.record(out_dir)
    store.results(run, tmp_path / "back")
    found = (tmp_path / "back").rglob("*.json")
    back = {path.relative_to(tmp_path / "back").as_posix() for path in found}
    assert {"train.json", "native/parity.json"} <= back
    assert any(name.startswith("gen/") for name in back)
    kept = (tmp_path / "back/native/parity.json").read_bytes()
    assert kept == (out_dir / "native/parity.json").read_bytes()


def test_the_command_wants_two(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--html", "x.html"]) == 2
    assert "--diff" in capsys.readouterr().err


def everything(out_dir: Path) -> Path:
    """The report of a run with every part that results here can have, and tables of 19 columns."""
    labels = tuple(f"{label}{i}" for i in range(3) for label in LABELS)[:16]
    write_run(out_dir)
    write_training(out_dir, title="Shoulder exercises", labels=labels)
    path = out_dir / "dataset.json"
    content = json.loads(path.read_text())
    content["splits"]["test"]["per_class"] = [*WINDOWS]
    write_json(path, content)
    write_drift(out_dir)
    write_engine(out_dir, "qemu_m4-tflm")
    return write_report(out_dir)


def test_a_page_asks_for_nothing_and_is_light(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it opens from file://, in a mail and without a network."""
    pages = [everything(tmp_path / "r").read_text(), evil_run(tmp_path / "evil").read_text()]
    pages.append(side_by_side(write_run(tmp_path / "a"), smaller(tmp_path / "b"), monkeypatch))
    for page in pages:
        assert len(page.encode()) < HEAVY
        found = parts(page)
        assert found.asked == []
        assert not found.tags & {"script", "link", "iframe", "object", "embed", "img", "base"}
        style = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
        assert style and "url(" not in style and "@import" not in style


@pytest.mark.skipif(
    CHROMIUM is None or shutil.which("pdftotext") is None, reason="no chromium or pdftotext on PATH"
)
def test_nothing_is_cut_on_paper(tmp_path: Path) -> None:
    page = everything(tmp_path / "wide")
    pdf = tmp_path / "r.pdf"
    assert CHROMIUM is not None
    subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", f"--user-data-dir={tmp_path / 'chromium'}",
         "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    done = subprocess.run(
        ["pdftotext", "-bbox", pdf, "-"], check=True, capture_output=True, text=True, timeout=60
    )
    width = float(re.findall(r'<page width="([\d.]+)"', done.stdout)[0])
    words = re.findall(r'xMin="(-?[\d.]+)".*?xMax="(-?[\d.]+)".*?>(.*?)</word>', done.stdout)
    missing = {str(n) for n in WINDOWS} - {word for *_, word in words}
    assert missing == set()  # what is behind an edge is not in the file
    assert len(words) > 1000
    outside = [word for left, right, word in words if float(left) < 0 or float(right) > width - 20]
    assert outside == []
    text = " ".join(word for *_, word in words)
    assert "golden cases" in text and "Every step in numbers" in text
    assert text.count("AVERAGE_POOL") + text.count("MAX_POOL") >= 2  # what is folded is open
